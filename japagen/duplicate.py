"""Exact and near duplicates among the accepted examples of a dataset."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from typing import Any

NGRAM = 3  # characters; Japanese has no spaces to split at
PERMUTATIONS, BANDS = 48, 8  # two texts of Jaccard similarity 0.9 are compared with odds of 0.998, of 0.5 with 0.12


class Seen:
    """The examples accepted so far. Memory: about 16 bytes an example, and some 800 more where near duplicates are looked for.

    `near`: from which estimated Jaccard similarity of character 3-grams on (MinHash, Broder 1997) an example counts
    as a near duplicate; 0 looks for exact ones only.
    """

    def __init__(self, near: float) -> None:
        self.near = near
        self.exact = Digests()
        self.sketches: list[Any] = []
        self.index: Any = None
        self.last: tuple[Sequence[str], Any] = ((), None)

    def reason(self, texts: Sequence[str]) -> str:
        """ "duplicate", "near_duplicate" or "": why the example may not be accepted again."""
        if digest(texts) in self.exact:
            return "duplicate"
        if self.near and self.index is not None and self.is_near(texts):
            return "near_duplicate"
        return ""

    def is_near(self, texts: Sequence[str]) -> bool:
        """Whether an accepted example is as similar as `near`."""
        sketch = self.sketch(texts)
        return any(self.sketches[key].jaccard(sketch) >= self.near for key in self.index.query(sketch))

    def add(self, texts: Sequence[str]) -> None:
        """Remember an accepted example."""
        self.exact.add(digest(texts))
        if self.near:
            import rensa

            if self.index is None:
                self.index = rensa.RMinHashLSH(threshold=self.near, num_perm=PERMUTATIONS, num_bands=BANDS)
            sketch = self.sketch(texts)
            self.index.insert(len(self.sketches), sketch)
            self.sketches.append(sketch)

    def sketch(self, texts: Sequence[str]) -> Any:
        """The MinHash of an example's character n-grams; an example is looked up and then added, so the last one is kept."""
        import rensa

        if self.last[0] != texts:
            sketch = rensa.RMinHash(num_perm=PERMUTATIONS, seed=0)
            sketch.update([text[i : i + NGRAM] for text in texts for i in range(max(1, len(text) - NGRAM + 1))])
            self.last = (texts, sketch)
        return self.last[1]


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
