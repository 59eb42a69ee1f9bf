"""UserError, and parts of its messages."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from hydra.errors import CompactHydraException


class UserError(CompactHydraException):
    """A problem that the user can fix; Hydra prints it without a traceback and exits with 1."""


class OutOfMemory(UserError):
    """Memory is used up, perhaps by another process: the same command may succeed later."""


class Unusable(ValueError):
    """Raised by a class for options that do not fit together; its text is a line for the user."""


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest word, else for the first that contains `word`."""
    known = list(words)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    near = near or [known_word for known_word in known if len(word) > 2 and word in known_word]
    return f"; did you mean '{near[0]}'?" if near else ""


def is_number(text: str) -> bool:
    """Whether `text` reads as a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
