"""The character n-grams from which a label can be read off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from japagen.text.japanese import HAN

Row = Sequence[str]  # the texts of a row

LONGEST = 8  # characters of an n-gram
LEAST = 0.05  # of a label's rows must have it
SHOWN = 10


class Telling(NamedTuple):
    """An n-gram with the shares of rows that have it: those of the label, and all others."""

    gram: str
    inside: float
    outside: float

    @property
    def value(self) -> float:
        """How well the n-gram alone finds the label, from -1 to 1: inside - outside.

        Youden's J of the rule "has the n-gram -> is the label", so 1 if all rows of the label have
        it and no other row. Source: Youden 1950, "Index for rating diagnostic tests". In
        natural-language inference such n-grams were found by Gururangan et al. 2018, "Annotation
        Artifacts in Natural Language Inference Data".
        """
        return self.inside - self.outside


def find(rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Telling]]:
    """For each label its ten most telling n-grams of 1 to 8 characters, the best first.

    `rows`: label -> rows. An n-gram that is part of a better one, or has one in it, is left out.
    """
    counts = {label: frequent(own) for label, own in rows.items()}
    wanted = {gram for own in counts.values() for gram in own}
    holders = {label: held(own, wanted) for label, own in rows.items()}
    number = {label: len(own) for label, own in rows.items()}
    found = dict[str, list[Telling]]()
    for label, own in counts.items():
        others = [other for other in rows if other != label]
        rest = sum(number[other] for other in others)
        if not rest:
            continue
        every = [
            Telling(gram, count / number[label], sum(holders[o][gram] for o in others) / rest)
            for gram, count in own.items()
        ]
        every.sort(key=lambda one: (-one.value, -len(one.gram), one.gram))
        found[label] = list(apart(every))
    return found


def frequent(rows: Sequence[Row]) -> Counter[str]:
    """In how many of the rows each n-gram is, for those in at least 5 % and in two."""
    least, kept = max(2.0, LEAST * len(rows)), Counter[str]()
    shorter: set[str] | None = None
    for n in range(1, LONGEST + 1):
        counts = Counter[str]()
        for row in rows:
            counts.update(set(candidates(row, n, shorter)))
        level = {gram: count for gram, count in counts.items() if count >= least}
        kept.update(level)
        shorter = set(level)
    return kept


def candidates(row: Row, n: int, shorter: set[str] | None) -> Iterator[str]:
    """The row's n-grams without white space at an end whose two parts of n - 1 are in `shorter`."""
    for text in row:
        for at in range(len(text) - n + 1):
            gram = text[at : at + n]
            if shorter is None or (gram[:-1] in shorter and gram[1:] in shorter):
                yield gram


def held(rows: Sequence[Row], wanted: set[str]) -> Counter[str]:
    """In how many of the rows each of the n-grams is."""
    found = Counter[str]()
    for row in rows:
        own = {
            text[at : at + n]
            for text in row
            for n in range(1, LONGEST + 1)
            for at in range(len(text) - n + 1)
        }
        found.update(own & wanted)
    return found


def is_word(gram: str) -> bool:
    """Whether an n-gram can be a word or part of one."""
    return len(gram.strip()) > 1 or HAN.fullmatch(gram.strip()) is not None


def apart(ranked: Sequence[Telling]) -> Iterator[Telling]:
    """The first ten that neither contain an earlier one nor are part of one.

    Single characters count if they are kanji: a single kana says nothing.
    """
    kept = list[str]()
    for one in ranked:
        if is_word(one.gram) and not any(one.gram in old or old in one.gram for old in kept):
            kept.append(one.gram)
            yield one
            if len(kept) == SHOWN:
                return
