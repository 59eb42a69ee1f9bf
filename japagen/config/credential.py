"""Refuse passwords, tokens and keys that are typed as options; the messages do not repeat them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override

from japagen.config.pattern import SCHEME, SECRET
from japagen.config.secret import (
    HEADERS,
    PLAIN_HEADERS,
    is_key,
    is_secret_header,
    is_shown,
    is_variable,
    remember_variable,
)

# ${oc.env:NAME} with its name and its default value, and any reference with the scheme or the name
# of a parameter before it: Bearer ${oc.env:NAME}, session=${oc.env:NAME}
FROM_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*['\"]?(\w+)['\"]?\s*(?:,([^{}]*))?\}")
REFERENCE = re.compile(rf"(?:\b{SCHEME}\s+|\b[\w.-]{{1,40}}=)?\$\{{[^{{}}]*\}}")
SECRET_NAME = re.compile(
    rf"(?:^|.*[^A-Za-z]){SECRET}$|(?i:pwd|auth|bearer|x-api-key|(?:.*[_-])?webhook(?:_url)?)"
)
# Options of engines and tokenizers about the tokens of a text.
TEXT_TOKEN = re.compile(
    r"(?i)(?:\b|_)(?:eos|bos|pad|unk|sep|cls|mask|stop|start|end|special|think\w*)_token\b"
)
# Options of the LLM whose references may be to secrets under any name.
OF_ENGINE = re.compile(r"^llm(?:@[\w.]+)?\.(?:.*\.)?(?:engine|sampling)\b")
ADDRESS_NAME = re.compile(r"(?i)(?:ur[li]|proxy|endpoint|address)$")
# A name before an @, or name:password; also without http:// or with too many slashes.
USER = re.compile(r"(?:[\w+.-]+:)?[/\\]*[^\s/\\?#]*@|.*[/\\][^\s/\\?#]*:[^\s/\\?#]*@")
USER_PASSWORD = re.compile(r"(?:.*[/\\])?[^\s/\\?#:@]*:[^\s/\\?#]+@")


def credential_problems(arguments: Iterable[str]) -> Iterator[str]:
    """A message for each `key=value` of `arguments` whose value is, or contains, a secret.

    A reference such as ${oc.env:NAME} is none, but its value is hidden from here on.
    """
    for argument in arguments:
        key, separator, value = argument.partition("=")
        key = key.lstrip("+~")
        if not separator:
            continue
        found = list(leaves(key, value))
        for name, inner in found:
            remember_references(name, inner)
        if contains_secret(key, without_references(value)) or any(
            is_credential(name, without_references(inner)) for name, inner in found
        ):
            yield advice(key)


def remember_references(key: str, value: str) -> None:
    """Remember the values of the variables that an option of the LLM, or a secret one, refers to.

    Others refer to folders and addresses, whose parts are not secrets.
    """
    secret = is_header(key, is_secret_header) or bool(SECRET_NAME.fullmatch(key.rpartition(".")[2]))
    for name, _default in FROM_VARIABLE.findall(value):
        if secret or OF_ENGINE.match(key):
            remember_variable(name, secret)


def without_references(value: str) -> str:
    """What is typed of `value` itself: the default value of a reference, but no reference."""
    before = ""
    while before != value:
        before, value = value, REFERENCE.sub(default, value)
    return value


def default(reference: re.Match[str]) -> str:
    """The default value in a reference to a variable; "" in any other."""
    found = FROM_VARIABLE.search(reference[0])
    return (found[2] or "").strip() if found else ""


def leaves(key: str, value: str) -> Iterator[tuple[str, str]]:
    """The (key, value) pairs in a value of Hydra's grammar, such as {a: {b: 1}} -> key.a.b, 1."""
    plain: list[Any] = [value.strip().strip("'\"")]
    if value.strip()[:1] in ("{", "["):
        try:
            given = OverridesParser.create().parse_override(f"key={value}").value()
        except Exception:  # not of Hydra's grammar, whose own message comes later
            given = value
        plain = given.list if isinstance(given, ChoiceSweep) else [given]
    for one in plain:
        for text in as_arguments(Override._convert_value(one), key):
            name, _, inner = text.partition("=")
            yield name, inner


def contains_secret(key: str, text: str) -> bool:
    """Whether a part of `text` looks like a secret, also if it is URL-encoded."""
    if key.startswith("task.") and "://" not in text:
        return False  # the texts of a task may speak of passwords
    text = TEXT_TOKEN.sub("", text)
    return is_shown(text) or is_shown(unquote_plus(text))


def is_credential(key: str, value: str) -> bool:
    """Whether `value` of option `key` is a secret."""
    bare, name = value.strip("'\" "), key.rpartition(".")[2]
    if bare in ("", "null", "None", "true", "false", "True", "False"):
        return False
    if is_header(key, is_secret_header):
        return bool(re.search(r"\w", bare))
    if is_header(key, lambda header: header.lower() not in PLAIN_HEADERS) and is_key(bare):
        return True
    if name.endswith("_env"):
        # The key itself, typed in place of the name of its variable.
        return bare not in os.environ and not is_variable(bare)
    if SECRET_NAME.fullmatch(name) and not TEXT_TOKEN.search(name):
        return True
    if name == "base_url":
        return bool(USER.match(bare)) or has_unusual_parameter(bare)
    return bool(ADDRESS_NAME.search(name) and USER_PASSWORD.match(bare))


def is_header(key: str, wanted: Callable[[str], bool]) -> bool:
    """Whether `key` is a header whose name is `wanted`, or is all headers in one value."""
    parts = key.split(".")
    for place, part in enumerate(parts):
        if HEADERS.search(part) and parts[0] != "task":
            header = ".".join(parts[place + 1 :])
            return not header or wanted(header)
    return False


def has_unusual_parameter(address: str) -> bool:
    """Whether the address has a parameter that is secret by its name or its value."""
    query = re.split(r"[?#;]", address, maxsplit=1)[1:]
    return any(
        is_secret_header(name) or is_key(value)
        for name, value in parse_qsl("&".join(query).replace("?", "&").replace("#", "&"))
    )


def advice(key: str) -> str:
    """Why a secret may not be typed as option `key`, and what to type instead."""
    if key.startswith("mlflow_uri"):
        how = (
            "export MLFLOW_TRACKING_USERNAME=... MLFLOW_TRACKING_PASSWORD=... (or "
            "MLFLOW_TRACKING_TOKEN=...), or export NAME=... and refer to it: "
            "'mlflow_uri=${oc.env:NAME}'"
        )
    elif (headers := re.match(r".*?headers\b", key)) is not None:
        how = (
            f"export NAME=... and refer to it: '+{headers[0]}={{Authorization: "
            '"${oc.env:NAME}"}\'. Headers such as X-Team and X-Env may have plain words as values'
        )
    elif key.startswith("llm.engine"):
        how = f"export NAME=... and refer to it: '+{key}=${{oc.env:NAME}}'"
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
