"""A text as characters or as words, for measures that count n-grams of either."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

INSTALL = 'pip install "japagen[quality]"'

# A text is a string, whose units are characters, or a tuple of words. Slices of both are n-grams.
Units = Sequence[Any]
Row = Sequence[Units]


def missing(package: str) -> str:
    """A line that says what to type if an optional package is not installed, else ""."""
    if importlib.util.find_spec(package):
        return ""
    return f"{package} is not installed; type in JapaGen's folder: {INSTALL}"


def characters(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts of a row in NFKC: full-width and half-width letters count as the same."""
    return tuple(unicodedata.normalize("NFKC", text) for text in texts)


def words() -> Callable[[Sequence[str]], tuple[tuple[str, ...], ...]]:
    """A function that cuts the texts of a row, in NFKC, into MeCab's tokens (UniDic lite).

    Needs fugashi and unidic-lite.
    """
    import fugashi
    import unidic_lite

    tagger = fugashi.Tagger(f'-d "{unidic_lite.DICDIR}"')

    def cut(texts: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(word.surface for word in tagger(one)) for one in characters(texts))

    return cut


def grams(row: Row, n: int) -> Counter[Any]:
    """The n-grams of a row with their counts; none spans two texts."""
    return Counter(text[at : at + n] for text in row for at in range(len(text) - n + 1))


def total(rows: Iterable[Row], n: int) -> Counter[Any]:
    """The n-grams of all rows."""
    found: Counter[Any] = Counter()
    for row in rows:
        found.update(grams(row, n))
    return found
