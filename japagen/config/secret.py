"""Passwords, tokens and API keys: the values that this process knows, and text without them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_plus

from japagen.config.disguise import Finder
from japagen.config.pattern import PARAMETER, SECRET, patterned

SHORTEST = 6  # shorter values are ordinary words, such as the `none` that keyless servers get
KEY = 12  # characters from which on a value of no known name may be a key
VARIABLE_MIX = 16  # letters and digits without _ from which on a name is rather a key
CUT = 8  # from so many characters on, the beginning of a secret at the end of a text is hidden

VARIABLE = re.compile(
    r"(?i)(?:^|_)(?:API)?(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|PASSPHRASE|COOKIE|PAT)(?:_?\d+)?$"
)

# Headers that carry no secret. All others may: gateways give theirs any name.
PLAIN_HEADERS = {
    *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control"),
    *("connection", "content-type", "content-language", "host", "http-referer", "referer"),
    *("origin", "user-agent", "x-title", "x-team", "x-project", "x-region", "x-app-name"),
    *("openai-organization", "openai-project", "openai-beta", "anthropic-version"),
    *("anthropic-beta", "api-version", "prefer"),
}
# Names of headers and of parameters of addresses that carry a secret, whatever its form.
SECRET_HEADER = re.compile(
    r"(?i)(?:^|[^a-z])(?:(?:api|access|auth|private|account|secret|client)?key|auth|pass|pwd|pat"
    r"|jwt|sas|sig|bearer)(?![a-z])|token(?![a-z])|secret|passw(?:or)?d|passphrase"
    r"|credential|authorization|cookie|signature"
)
# The words, dates and versions of which ordinary values consist: gpt-4o, 2024-10-21, nlp_team.
WORD = re.compile(
    r"[A-Za-z]{1,14}|\d{1,8}|[A-Za-z]{1,10}\d{1,4}[A-Za-z]{0,2}|\d{1,4}[A-Za-z]{1,3}\d{0,2}"
)
# Keys of providers, none of which is the name of a variable such as hf_token_2.
PREFIX = re.compile(
    r"(?:(?:sk|pk|rk|hf|gh[oprsu]|gsk|r8|npm)_|AKIA|ASIA|AIza|github_pat_|[spr]k_(?:live|test)_"
    r"|whsec_)[A-Za-z0-9]{12,}"
)
HEADERS = re.compile(r"(?i)(?:^|[_-])headers$")  # an option with headers

# Of this process, never of a module that is only imported: filled by `remember` alone.
_known: set[str] = set()
_found: list[Finder] = []  # at most two that find them, made when they are needed


def remember(value: object) -> None:
    """Hide `value` from now on wherever `hidden` is used, also escaped, in base64 and in parts.

    Values shorter than 6 characters are ignored.
    """
    text = str(value).strip()
    if len(text) >= SHORTEST:
        _known.add(text)


def remember_all(config: Mapping[str, Any]) -> None:
    """Remember every secret of a configuration and of the environment.

    These are: options whose key says that they are secret, headers, passwords and tokens in
    addresses, the variables that `llm.api_key_env` and other options `*_env` name, variables with
    names such as OPENAI_API_KEY, and passwords and tokens in the addresses of other variables.
    """
    for name, value in os.environ.items():
        if VARIABLE.search(name) and len(value) >= CUT and not is_path(value):
            remember(value)
        for part in in_address(value):
            if len(part) >= CUT:  # a shorter one may be the name of a user
                remember(part)
    for value in secrets(config):
        remember(value)
    for option, variable in named_variables(config):
        if variable in os.environ:
            remember_variable(variable, bool(re.search(SECRET, option)))
        elif re.search(SECRET, option) and not is_variable(variable):
            remember(variable)  # the key itself, given where the name of its variable belongs


def remember_variable(name: str, secret: bool) -> None:
    """Remember the value of a variable that an option refers to.

    Unless the option is known to be `secret`, values that are words, numbers or paths are not
    secrets, and of an address only its passwords, its tokens, and a long path are.
    """
    value = os.environ.get(name, "").strip()
    if secret:
        for part in credentials(value):
            remember(part)
    elif "://" in value:
        address = value.partition("://")[2]
        for part in (*in_address(value), address.partition("/")[2]):
            if len(part) >= 2 * CUT:
                remember(part)
    elif is_key(value) and not is_path(value):
        remember(value)


@lru_cache(maxsize=1024)
def is_key(value: str) -> bool:
    """Whether `value` has the form of a key: letters and digits mixed, no words, date or path."""
    value = value.strip()
    if patterned(value) != value:
        return True
    if len(value) < KEY or not re.search(r"[A-Za-z]", value) or not re.search(r"\d", value):
        return False
    return not all(WORD.fullmatch(word) for word in re.split(r"[\W_]+", value) if word)


def is_variable(name: str) -> bool:
    """Whether `name` may be the name of an environment variable, and not a key in its place."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or PREFIX.match(name):
        return False
    mixed = "_" not in name and re.search(r"[A-Za-z]", name) and re.search(r"\d", name)
    return not (mixed and len(name) >= VARIABLE_MIX and not re.fullmatch(r"[A-Z]+\d{1,4}", name))


def is_secret_header(name: str) -> bool:
    """Whether the header, or the parameter of an address, has a secret by its name."""
    return name.lower() not in PLAIN_HEADERS and bool(SECRET_HEADER.search(name))


def is_path(value: str) -> bool:
    """Whether `value` names a file, which may have a secret in it."""
    return value.startswith("~") or (value.startswith("/") and os.access(value, os.F_OK))


def hidden(value: object) -> str:
    """`value` as text, with *** for every known secret and for what looks like one.

    Hide before cutting a text: half a key is not recognised.
    """
    return patterned(hidden_values(str(value)))


def is_shown(text: str) -> bool:
    """Whether `text` has a whole known secret or what looks like one."""
    return patterned(text) != text or any(known in text for known in tuple(_known))


def hidden_values(text: str) -> str:
    """`text` with *** for every known secret alone; data whose form must not change."""
    return replaced(text, tuple(_known))


def hidden_keys(text: str) -> str:
    """The same for what an LLM writes: only for secrets with the form of a key, never for words."""
    return replaced(text, tuple(known for known in tuple(_known) if is_key(known)))


def replaced(text: str, known_now: tuple[str, ...]) -> str:
    """`text` with *** for these secrets."""
    if not known_now:
        return text
    finder = next((one for one in _found if one.known == known_now), None)
    if finder is None:
        finder = Finder(known_now)
        _found[:] = [*_found[-1:], finder]
    text = finder.hide(text)
    for known in known_now:
        for length in range(len(known) - 1, CUT - 1, -1):
            if text.endswith(known[:length]):
                text = text[:-length] + "***"
                break
    return text


def without_secrets(value: Any) -> Any:
    """`value` without the keys that are named like secrets, at any depth; its texts hidden."""
    if isinstance(value, Mapping):
        return {
            hidden(key) if isinstance(key, str) else key: without_secrets(inner)
            for key, inner in value.items()
            if not re.search(SECRET, str(key))
        }
    if isinstance(value, (list, tuple)):
        return [without_secrets(inner) for inner in value]
    return hidden(value) if isinstance(value, str) else value


def secrets(value: object, named: bool = False) -> Iterator[str]:
    """The secrets in a configuration; `named`: the key above says that all below is secret."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            secret = bool(re.search(SECRET, str(key))) and not str(key).endswith("_env")
            if HEADERS.search(str(key)) and isinstance(inner, Mapping):
                for name, header in inner.items():
                    plain = str(name).lower() in PLAIN_HEADERS or not is_key(str(header))
                    yield from secrets(header, named or is_secret_header(str(name)) or not plain)
            else:
                yield from secrets(inner, named or secret)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from secrets(inner, named)
    elif isinstance(value, str):
        yield from credentials(value) if named else in_address(value)


def credentials(text: str) -> Iterator[str]:
    """A secret value and its parts: the token after `Bearer`, the password inside `Basic`."""
    yield text
    scheme, _, rest = text.strip().partition(" ")
    if rest:
        yield rest
    if scheme.lower() == "basic":
        try:
            user_password = base64.b64decode(rest, validate=True).decode()
        except ValueError:
            return
        yield user_password
        yield user_password.partition(":")[2]


def in_address(text: str) -> Iterator[str]:
    """Password or token before the @ of an address, and secret parameters of its query."""
    for found in re.finditer(r"://([^/\s'\"?#]+)@", text):
        user, colon, password = found[1].partition(":")
        secret = password if colon else user
        yield from (secret, unquote(secret))
    named = rf"(?:{PARAMETER}|(?:^|[?&;])(?:\w*[_-])?{SECRET}=|(?i:\bpwd=))"
    # A parameter may have parameters: ?odbc_connect=UID%3Dme%3BPWD%3D...
    for written in dict.fromkeys((text, unquote_plus(text))):
        for found in re.finditer(rf"{named}([^\s&#;'\"]+)", written):
            yield from (found[1], unquote_plus(found[1]))


def named_variables(value: object) -> Iterator[tuple[str, str]]:
    """(option, value) of all options `*_env`, such as api_key_env."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if str(key).endswith("_env") and inner and isinstance(inner, str):
                yield str(key), inner
            yield from named_variables(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from named_variables(inner)
