"""Exact and near duplicates among the accepted examples of a dataset."""

from __future__ import annotations

import hashlib
import itertools
import math
import operator
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from japagen.text.ngram import grams

NGRAM = 3  # characters; Japanese has no spaces to split at
# With 50 numbers the usual limit of 0.9 takes five bands of ten. Bands of eight, as 48 numbers would make, give ten times as many texts
# of one template to compare by chance, and in a large dataset that is where the time goes.
PERMUTATIONS = 50
BANDS = (1, 2, 5, 10)
MISSED = 0.04


def fewest_bands(near: float) -> int:
    """Bands of a sketch such that of the pairs exactly as similar as `near`, by their sketches, at most 4 in 100 share none.

    At most 10 bands, which is enough from 0.75 on. Pairs that are more similar are missed more rarely, mostly never.
    Fewer and broader bands leave fewer pairs to compare.
    """
    differing = PERMUTATIONS - math.ceil(min(near, 1.0) * PERMUTATIONS - 1e-9)
    return next((bands for bands in BANDS if missed(bands, differing) <= MISSED), BANDS[-1])


def missed(bands: int, differing: int) -> float:
    """The chance that `differing` numbers, spread at random, leave none of the bands whole."""
    return sum(
        (-1.0) ** left * math.comb(bands, left) * (1 - left / bands) ** differing
        for left in range(bands + 1)
    )


class Seen:
    """The examples accepted so far. Memory: about 16 bytes an example, and some 650 more where near duplicates are looked for.

    `near`: from which estimated Jaccard similarity of character 3-grams on (MinHash, Broder 1997) an example counts
    as a near duplicate; 0 looks for exact ones only.
    """

    def __init__(self, near: float) -> None:
        self.near = near
        self.exact = Digests()
        self.sketches = bytearray()  # the short ones, one after the other
        self.index: Any = None
        # An example is judged when it arrives, again when its turn comes, then added; mostly all at once.
        self.last: tuple[Sequence[str], int, Any] = ((), 0, None)
        self.judged: tuple[Sequence[str], int, str] = ((), -1, "")

    def reason(self, texts: Sequence[str]) -> str:
        """ "duplicate", "near_duplicate" or "": why the example may not be accepted again."""
        if self.judged[0] != texts or self.judged[1] != self.exact.count:
            self.judged = (texts, self.exact.count, self.judge(texts))
        return self.judged[2]

    def judge(self, texts: Sequence[str]) -> str:
        """The reason against an example that was not judged since the last one was added."""
        number, sketch = self.known(texts)
        if number in self.exact:
            return "duplicate"
        if self.index is not None and (candidates := self.index.query(sketch)):
            own = short(sketch)
            for key in candidates:
                if (
                    similarity(self.sketches[key * PERMUTATIONS : (key + 1) * PERMUTATIONS], own)
                    >= self.near
                ):
                    return "near_duplicate"
        return ""

    def add(self, texts: Sequence[str]) -> None:
        """Remember an accepted example."""
        number, sketch = self.known(texts)
        self.exact.add(number)
        if self.near:
            if self.index is None:
                import rensa

                self.index = rensa.RMinHashLSH(
                    threshold=self.near, num_perm=PERMUTATIONS, num_bands=fewest_bands(self.near)
                )
            self.index.insert(len(self.sketches) // PERMUTATIONS, sketch)
            self.sketches += short(sketch)

    def known(self, texts: Sequence[str]) -> tuple[int, Any]:
        """The digest and, where near duplicates are looked for, the sketch of an example; those of the last one are kept."""
        if self.last[0] != texts:
            self.last = (texts, digest(texts), sketch_of(texts) if self.near else None)
        return self.last[1:]


def short(sketch: Any) -> bytes:
    """One byte of each number of a sketch: numbers that differ have it in common once in 256 times (Li and König 2010)."""
    numbers = array("I", sketch.digest())
    return numbers.tobytes()[0 if sys.byteorder == "little" else 3 :: 4]


def similarity(one: bytes | bytearray, other: bytes) -> float:
    """The Jaccard similarity that two short sketches tell: the share of their bytes that are equal."""
    equal: int = sum(map(operator.eq, one, other))
    return equal / PERMUTATIONS


def sketch_of(texts: Sequence[str]) -> Any:
    """The MinHash of an example's character n-grams."""
    import rensa

    sketch = rensa.RMinHash(num_perm=PERMUTATIONS, seed=0)
    sketch.update(list(itertools.chain.from_iterable(grams(text, NGRAM) for text in texts)))
    return sketch


def digest(texts: Sequence[str]) -> int:
    """A number of 64 bits, never 0, that stands for an example; among a million, odds of a wrong match are 1 in 37 million."""
    return (
        int.from_bytes(hashlib.blake2b("\x1f".join(texts).encode(), digest_size=8).digest(), "big")
        or 1
    )


class Digests:
    """A set of digests in 8 bytes a place (a set of Python's takes some 90), at most half full."""

    def __init__(self) -> None:
        self.places, self.count = array("Q", [0]) * 1024, 0

    def __contains__(self, value: int) -> bool:
        return self.places[self.place(value)] == value

    def add(self, value: int) -> None:
        """Put `value` in."""
        at = self.place(value)
        if self.places[at] == 0:
            self.places[at] = value
            self.count += 1
            if 2 * self.count > len(self.places):
                self.grow()

    def place(self, value: int) -> int:
        """Where `value` is, or where it would go."""
        last = len(self.places) - 1
        at = value & last
        while self.places[at] not in (0, value):
            at = (at + 1) & last
        return at

    def grow(self) -> None:
        """Twice as many places."""
        old, self.places = self.places, array("Q", [0]) * (2 * len(self.places))
        for value in old:
            if value:
                self.places[self.place(value)] = value
