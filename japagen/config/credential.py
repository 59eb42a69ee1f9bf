"""Passwords, tokens and keys typed as options: found by name and by form, never shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

# Names that hold a secret, without case, hyphens and underscores. `max_tokens`, `eos_token` and
# `tokenizer` do not; `api_key_env` holds the name of a variable.
NAMES = re.compile(
    r"token|secret|pwd|auth|cookie|bearer|credentials?"
    r"|.*(authorization|apikey|passw(or)?d|passphrase|clientsecret|secretkey|accesskey"
    r"|privatekey|(access|auth|bearer|hf|hub|api|session|refresh|tracking)token)"
)
QUERY_NAMES = re.compile(r"key|sig|signature|sas|code|jwt")  # only in the query of an address
REFERENCE = re.compile(r"\$\{[^{}]*\}")
USERINFO = re.compile(r"(?:https?://[^/\s'\"@?#]+@)|(?:://[^/\s'\"@:?#]*:[^/\s'\"@?#]+@)")
QUERY = re.compile(r"[?&]([\w.-]+)=[^&\s'\"]")
PAIR = re.compile(r"([\w-]+)['\"]?\s*:\s*['\"]?[^\s'\",{}\[\]]")
FORMS = re.compile(
    r"(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{6,})"
    r"|\b(?:sk-|hf_|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA)[\w-]{12,}"
)


def credential_problems(arguments: Iterable[str]) -> Iterator[str]:
    """A message for each `key=value` of `arguments` whose value is a secret.

    A reference such as ${oc.env:NAME} is not a secret. The messages do not contain the value.
    """
    for argument in arguments:
        key, separator, value = argument.partition("=")
        key = key.lstrip("+~")
        # The value of a reference is not in the text.
        if separator and is_credential(key, REFERENCE.sub("", value)):
            yield advice(key)


def is_credential(key: str, value: str) -> bool:
    """Whether `value` of option `key` is, or contains, a secret."""
    bare = value.strip("'\" ")
    name = key.rpartition(".")[2]
    if name == "api_key_env" and bare not in ("", "null"):
        # A key typed in place of the name of its variable.
        return not re.fullmatch(r"[A-Za-z_]\w{0,60}", bare) or bool(FORMS.search(bare))
    return (
        (is_secret_name(name) and bare not in ("", "null", "true", "false"))
        or bool(USERINFO.search(value) or FORMS.search(value))
        or any(is_secret_name(found) or QUERY_NAMES.fullmatch(found) for found in queried(value))
        or ("{" in value and any(is_secret_name(found) for found in PAIR.findall(value)))
    )


def queried(value: str) -> list[str]:
    """The names in the queries of addresses in `value`, in lower case."""
    return [name.lower() for name in QUERY.findall(value)] if "://" in value else []


def is_secret_name(name: str) -> bool:
    """Whether a key of this name holds a secret."""
    return NAMES.fullmatch(re.sub(r"[-_]", "", name).lower()) is not None


def advice(key: str) -> str:
    """Why a secret may not be typed as option `key`, and what to do."""
    if key.startswith("mlflow_uri"):
        how = "export MLFLOW_TRACKING_USERNAME=... MLFLOW_TRACKING_PASSWORD=... (or _TOKEN=...)"
    elif key.startswith("llm.engine"):
        how = f"export NAME=..., and refer to it: '+{key}={{Authorization: \"${{oc.env:NAME}}\"}}'"
    elif key.startswith("llm.") and not key.endswith("base_url"):
        how = "export NAME=..., and name the variable: llm.api_key_env=NAME"
    else:
        how = f"export NAME=..., and refer to it: '{key}=${{oc.env:NAME}}'"
    return (
        f"{key} contains a password, token or key, which would be written to files and logs; "
        f"allowed: the name of an environment variable. {how}"
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
