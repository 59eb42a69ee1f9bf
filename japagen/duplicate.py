"""Exact and near duplicates among the accepted examples of a dataset."""

from __future__ import annotations

import hashlib
import itertools
from array import array
from collections.abc import Sequence
from typing import Any

from japagen.clean import grams

NGRAM = 3  # characters; Japanese has no spaces to split at
PERMUTATIONS = 48
BANDS = (
    1,
    2,
    3,
    4,
    6,
    8,
)  # with 8, two texts of similarity 0.5 are compared with odds of 0.12, of 0.25 with 0.002; with 6, 0.02 and 0.0001


def fewest_bands(near: float) -> int:
    """Bands of a sketch of which two sketches as similar as `near` share one: more than they can differ in, or 8 if there are none.

    Fewer and broader bands leave fewer pairs to compare, and find the same ones.
    """
    differing = PERMUTATIONS - min(equal for equal in range(PERMUTATIONS + 1) if equal / PERMUTATIONS >= min(near, 1.0))
    return next((bands for bands in BANDS if bands > differing), BANDS[-1])


class Seen:
    """The examples accepted so far. Memory: about 16 bytes an example, and some 700 more where near duplicates are looked for.

    `near`: from which estimated Jaccard similarity of character 3-grams on (MinHash, Broder 1997) an example counts
    as a near duplicate; 0 looks for exact ones only.
    """

    def __init__(self, near: float) -> None:
        self.near = near
        self.exact = Digests()
        self.sketches: list[Any] = []
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
        if self.index is not None and any(self.sketches[key].jaccard(sketch) >= self.near for key in self.index.query(sketch)):
            return "near_duplicate"
        return ""

    def add(self, texts: Sequence[str]) -> None:
        """Remember an accepted example."""
        number, sketch = self.known(texts)
        self.exact.add(number)
        if self.near:
            if self.index is None:
                import rensa

                self.index = rensa.RMinHashLSH(threshold=self.near, num_perm=PERMUTATIONS, num_bands=fewest_bands(self.near))
            self.index.insert(len(self.sketches), sketch)
            self.sketches.append(sketch)

    def known(self, texts: Sequence[str]) -> tuple[int, Any]:
        """The digest and, where near duplicates are looked for, the sketch of an example; those of the last one are kept."""
        if self.last[0] != texts:
            self.last = (texts, digest(texts), sketch_of(texts) if self.near else None)
        return self.last[1:]


def sketch_of(texts: Sequence[str]) -> Any:
    """The MinHash of an example's character n-grams."""
    import rensa

    sketch = rensa.RMinHash(num_perm=PERMUTATIONS, seed=0)
    sketch.update(list(itertools.chain.from_iterable(grams(text, NGRAM) for text in texts)))
    return sketch


def digest(texts: Sequence[str]) -> int:
    """A number of 64 bits, never 0, that stands for an example; among a million, odds of a wrong match are 1 in 37 million."""
    return int.from_bytes(hashlib.blake2b("\x1f".join(texts).encode(), digest_size=8).digest(), "big") or 1


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
