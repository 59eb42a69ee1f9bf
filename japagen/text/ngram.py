"""Character n-grams of a text."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

CUT = 256  # up to this many pieces, a text is cut by a cached function; 2 MB for all of them


def grams(text: str, size: int) -> Sequence[str]:
    """All pieces of `size` characters of `text`, or `text` itself where it is shorter."""
    count = len(text) - size + 1
    return (
        cutter(size, count)(text)
        if 1 < count <= CUT
        else [text[at : at + size] for at in range(max(1, count))]
    )


@functools.cache
def cutter(size: int, count: int) -> Callable[[str], tuple[str, ...]]:
    """A function that cuts `count` pieces out of a text: half the time of a loop, in the hot path
    of deduplication."""
    return operator.itemgetter(*(slice(at, at + size) for at in range(count)))
