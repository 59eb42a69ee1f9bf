"""UserError, and what its messages are made of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """A problem the user can mend; Hydra prints its message without a traceback and exits with 1."""


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the word nearest to `word`, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def is_number(text: str) -> bool:
    """Whether `text` reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
