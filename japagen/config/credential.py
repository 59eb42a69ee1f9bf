"""Refuse passwords, tokens and keys that are typed as options; the messages do not repeat them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from japagen.config.secret import SECRET, hidden

REFERENCE = re.compile(r"\$\{[^{}]*\}")
SECRET_NAME = re.compile(rf"(?:^|.*[^A-Za-z]){SECRET}$|(?i:pwd|auth|bearer|x-api-key)")
# Options of engines and tokenizers about the tokens of a text.
TEXT_TOKEN = re.compile(
    r"(?i)(?:\b|_)(?:eos|bos|pad|unk|sep|cls|mask|stop|start|end|special|think\w*)_token\b"
)
VARIABLE = re.compile(r"[A-Za-z_]\w*")


def credential_problems(arguments: Iterable[str]) -> Iterator[str]:
    """A message for each `key=value` of `arguments` whose value is, or contains, a secret.

    A reference such as ${oc.env:NAME} is not a secret.
    """
    for argument in arguments:
        key, separator, value = argument.partition("=")
        key = key.lstrip("+~")
        if separator and is_credential(key, REFERENCE.sub("", value)):
            yield advice(key)


def is_credential(key: str, value: str) -> bool:
    """Whether `value` of option `key` is, or contains, a secret."""
    bare, name = value.strip("'\" "), key.rpartition(".")[2]
    if bare in ("", "null", "true", "false"):
        return False
    if name.endswith("_env"):
        # The key itself, typed in place of the name of its variable.
        return not VARIABLE.fullmatch(bare) or hidden(bare) != bare
    if SECRET_NAME.fullmatch(name) and not TEXT_TOKEN.search(name):
        return True
    if key.startswith("task.") and "://" not in value:
        return False  # the texts of a task may speak of passwords
    text = TEXT_TOKEN.sub("", value)
    return hidden(text) != text


def advice(key: str) -> str:
    """Why a secret may not be typed as option `key`, and what to type instead."""
    if key.startswith("mlflow_uri"):
        how = (
            "export MLFLOW_TRACKING_USERNAME=... MLFLOW_TRACKING_PASSWORD=... (or "
            "MLFLOW_TRACKING_TOKEN=...), or export NAME=... and refer to it: "
            "'mlflow_uri=${oc.env:NAME}'"
        )
    elif key.startswith("llm.engine"):
        how = f"export NAME=... and refer to it: '+{key}={{Authorization: \"${{oc.env:NAME}}\"}}'"
    elif key.startswith("llm.") and not key.endswith("base_url"):
        how = "export NAME=... and name the variable: llm.api_key_env=NAME"
    else:
        how = f"export NAME=... and refer to it: '{key}=${{oc.env:NAME}}'"
    return (
        f"{key} contains a password, token or key, which would be written to files and logs; "
        f"allowed: the name of an environment variable. Type: {how}"
    )


def as_arguments(value: Any, key: str = "") -> Iterator[str]:
    """A nested config as `key=value` texts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from as_arguments(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from as_arguments(inner, key)
    elif value is not None:
        yield f"{key}={value}"
