"""Passwords, tokens and API keys: the values that this process knows, and text without them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

from japagen.config.disguise import Finder

SHORTEST = 6  # shorter values are ordinary words, such as the `none` that keyless servers get
CUT = 8  # from so many characters on, the beginning of a secret at the end of a text is hidden

# A key or a word that names a secret. `max_tokens`, `tokenizer` and `author` do not.
SECRET = (
    r"(?i:(?:(?:api|access|private|account|storage|subscription|shared|secret)[_-]?key"
    r"|passw(?:or)?d|passphrase|secret|credential|authorization|[_-]auth|cookie|signature)s?"
    r"|token)(?![A-Za-z])"
)
# Query parameters of addresses that carry a secret under a name too short for SECRET.
PARAMETER = (
    r"(?i:[?&;](?:key|sig|auth|code|pass|pwd|jwt|sas|(?:\w+[_-])?token|x-(?:amz|goog)-\w+)=)"
)
VARIABLE = re.compile(
    r"(?i)(?:^|_)(?:API)?(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|PASSPHRASE|COOKIE|PAT)(?:_?\d+)?$"
)

# What looks like a secret. Group 1 of each is kept, the rest becomes ***.
PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"({PARAMETER})[^\s&#'\"<>]+",
        r"(://(?:[^/\s:@'\"?#]*:)?)[^/\s'\"?#]+(?=@)",
        r"((?i:cookie)['\"]?\s*[:=]\s*(?:['\"]\s*)?)[^\s'\"][^\r\n'\"]*",
        rf"({SECRET}['\"]?\s*[:=]\s*['\"]?(?i:(?:bearer|basic|token|digest|negotiate)\s+)?)"
        r"[^\s'\",&}]+",
        r"()\b(?:sk|pk|rk)-[\w-]{12,}",
        r"()\b(?:hf|gh[oprsu]|github_pat|glpat|xox[abprs]|nvapi|gsk|r8)[_-][\w-]{12,}",
        r"()\b(?:AKIA|ASIA|AIza)[\w-]{12,}",
        r"()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
        r"((?i:\b(?:bearer|basic)\s+))[A-Za-z0-9+/._~=-]{12,}",
    )
)

# Every text that a pattern matches has one of these. Texts without them are passed over quickly.
HINTS = (
    *("://", "?", "&", ";", "key", "pass", "secret", "credential", "auth", "cookie", "signature"),
    *("token", "bearer", "basic", "sk-", "pk-", "rk-", "hf_", "hf-", "gh", "glpat", "xox"),
    *("nvapi", "gsk", "r8", "akia", "asia", "aiza", "eyj"),
)
LONG = 100_000  # characters

# Of this process, never of a module that is only imported: filled by `remember` alone.
_known: set[str] = set()
_found: list[Finder] = []  # one that finds them, made when it is needed


def remember(value: object) -> None:
    """Hide `value` from now on wherever `hidden` is used, also escaped, in base64 and in parts.

    Values shorter than 6 characters are ignored.
    """
    text = str(value).strip()
    if len(text) >= SHORTEST:
        _known.add(text)


def remember_all(config: Mapping[str, Any]) -> None:
    """Remember every secret of a configuration and of the environment.

    These are: options whose key says that they are secret, passwords and tokens in addresses, the
    variable that `llm.api_key_env` names, variables with names such as OPENAI_API_KEY, and
    passwords and tokens in the addresses of other variables.
    """
    for name, value in os.environ.items():
        # A path names a file with a secret.
        path = value.startswith("~") or (value.startswith("/") and os.access(value, os.F_OK))
        if VARIABLE.search(name) and len(value) >= CUT and not path:
            remember(value)
        for part in in_address(value):
            if len(part) >= CUT:  # a shorter one may be the name of a user
                remember(part)
    for value in secrets(config):
        remember(value)
    for variable in named_variables(config):
        if variable in os.environ:
            remember(os.environ[variable])
        elif not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable):
            remember(variable)  # the key itself, given where the name of its variable belongs


def hidden(value: object) -> str:
    """`value` as text, with *** for every known secret and for what looks like one.

    Hide before cutting a text: half a key is not recognised.
    """
    text = hidden_values(str(value))
    if len(text) > LONG:  # tables of predictions: most of their lines need no pattern
        return "".join(patterned(line) for line in text.splitlines(keepends=True))
    return patterned(text)


def patterned(text: str) -> str:
    """`text` with *** for what looks like a secret."""
    lower = text.lower()
    if any(hint in lower for hint in HINTS):
        for pattern in PATTERNS:
            text = pattern.sub(r"\1***", text)
    return text


def hidden_values(text: str) -> str:
    """`text` with *** for every known secret alone; data whose form must not change."""
    known_now = tuple(_known)
    if not known_now:
        return text
    finder = _found[0] if _found else None
    if finder is None or finder.number != len(known_now):
        finder = Finder(known_now)
        _found[:] = [finder]
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
    named = rf"(?:{PARAMETER}|(?:^|[?&;])(?:\w*[_-])?{SECRET}=)"
    for found in re.finditer(rf"{named}([^\s&#;'\"]+)", text):
        yield from (found[1], unquote_plus(found[1]))


def named_variables(value: object) -> Iterator[str]:
    """The values of all keys `api_key_env`, and of others with `_env` after a secret's name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if str(key).endswith("_env") and re.search(SECRET, str(key)) and inner:
                yield str(inner)
            yield from named_variables(inner)
