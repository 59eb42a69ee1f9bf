"""Texts and configs without what looks like a password, a token or an API key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# A key or word that names a secret; `max_tokens` and `tokenizer` do not. Then the same, and an address, with its value.
SECRET = r"(?i:(?:(?:api|access|private)[_-]?key|passw(?:or)?d|secret|credential|authorization)s?|token)(?![A-Za-z])"
SECRET_TEXT = re.compile(
    rf"(://[^/\s:@]*:)[^/\s@]+(?=@)|({SECRET}['\"]?\s*[:=]\s*['\"]?(?i:bearer )?)[^\s'\",&}}]+"
)


def without_secrets(value: Any) -> Any:
    """`value` without the keys that are named like secrets, at any depth."""
    if isinstance(value, Mapping):
        return {
            key: without_secrets(inner)
            for key, inner in value.items()
            if not re.search(SECRET, str(key))
        }
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return hidden(value) if isinstance(value, str) else value


def hidden(value: object) -> str:
    """`value` as text, with *** for what looks like a password, token or API key."""
    return SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}***", str(value))
