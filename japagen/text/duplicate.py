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
from japagen.text.visible import key

NGRAM = 3  # characters; Japanese has no spaces to split at
# With 50 numbers the usual limit of 0.9 takes five bands of ten. Bands of eight, from 48 numbers,
# give ten times as many chance candidates among texts of one template, which takes most time in
# a large dataset.
PERMUTATIONS = 50
BANDS = (1, 2, 5, 10)
MISSED = 0.04
FEW = 16  # candidates that are compared one by one


def fewest_bands(near: float) -> int:
    """The number of bands that misses at most 4 % of the pairs exactly as similar as `near`.

    At most 10 bands, which is enough from 0.75 on. More similar pairs are missed less often.
    Fewer and broader bands leave fewer pairs to compare.
    """
    differing = PERMUTATIONS - math.ceil(min(near, 1.0) * PERMUTATIONS - 1e-9)
    return next((bands for bands in BANDS if missed(bands, differing) <= MISSED), BANDS[-1])


def missed(bands: int, differing: int) -> float:
    """The probability that `differing` numbers at random places leave no band equal."""
    return sum(
        (-1.0) ** left * math.comb(bands, left) * (1 - left / bands) ** differing
        for left in range(bands + 1)
    )


class Seen:
    """The examples accepted so far, in about 16 bytes each, or 670 if `near` is not 0.

    `near`: the estimated Jaccard similarity of character 3-grams (MinHash, Broder 1997) from
    which an example is a near duplicate; 0 finds exact duplicates only.
    """

    def __init__(self, near: float) -> None:
        self.near = near
        self.exact = Digests()
        self.sketches = bytearray()  # the short ones, one after the other
        self.index: Any = None
        # Each example is checked on arrival, checked again in plan order, then added: cache both.
        self.last: tuple[Sequence[str], int, Any] = ((), 0, None)
        self.judged: tuple[Sequence[str], int, str] = ((), -1, "")

    def reason(self, texts: Sequence[str]) -> str:
        """The rejection reason of an example: "duplicate", "near_duplicate", or "" for none."""
        if self.judged[0] != texts or self.judged[1] != self.exact.count:
            self.judged = (texts, self.exact.count, self.judge(texts))
        return self.judged[2]

    def judge(self, texts: Sequence[str]) -> str:
        """The rejection reason, not from the cache."""
        number, sketch = self.known(texts)
        if number in self.exact:
            return "duplicate"
        if self.index is not None and (candidates := self.index.query(sketch)):
            is_near = self.any_near(candidates, short(sketch))
            return "near_duplicate" if is_near else ""
        return ""

    def any_near(self, candidates: Sequence[int], own: bytes) -> bool:
        """Whether one of the candidates' sketches is near enough to `own`."""
        if len(candidates) > FEW:
            # Texts of one template have thousands of candidates: 50 times as fast as the loop.
            import numpy as np

            table = np.frombuffer(self.sketches, np.uint8).reshape(-1, PERMUTATIONS)
            equal = (table[candidates] == np.frombuffer(own, np.uint8)).sum(1)
            return bool((equal / PERMUTATIONS >= self.near).any())
        return any(
            similarity(self.sketches[key * PERMUTATIONS : (key + 1) * PERMUTATIONS], own)
            >= self.near
            for key in candidates
        )

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
        """The digest of an example and, if `near` is not 0, its sketch; the last are cached."""
        if self.last[0] != texts:
            seen = [key(text) for text in texts]  # as a reader sees them
            self.last = (texts, digest(seen), sketch_of(seen) if self.near else None)
        return self.last[1:]


def short(sketch: Any) -> bytes:
    """One byte of each number of a sketch (b-bit MinHash, Li and König 2010).

    Different numbers have the same byte once in 256 times.
    """
    numbers = array("I", sketch.digest())
    return numbers.tobytes()[0 if sys.byteorder == "little" else 3 :: 4]


def similarity(one: bytes | bytearray, other: bytes) -> float:
    """The Jaccard similarity estimated from two short sketches: the share of equal bytes."""
    equal: int = sum(map(operator.eq, one, other))
    return equal / PERMUTATIONS


def sketch_of(texts: Sequence[str]) -> Any:
    """The MinHash of an example's character n-grams."""
    import rensa

    sketch = rensa.RMinHash(num_perm=PERMUTATIONS, seed=0)
    sketch.update(list(itertools.chain.from_iterable(grams(text, NGRAM) for text in texts)))
    return sketch


def digest(texts: Sequence[str]) -> int:
    """A 64-bit hash of an example, never 0. Collision in a million examples: 1 in 37 million."""
    return (
        int.from_bytes(hashlib.blake2b("\x1f".join(texts).encode(), digest_size=8).digest(), "big")
        or 1
    )


class Digests:
    """A hash set of digests in 8 bytes a place, at most half full (Python's set: about 90)."""

    def __init__(self) -> None:
        self.places, self.count = array("Q", [0]) * 1024, 0

    def __contains__(self, value: int) -> bool:
        return self.places[self.place(value)] == value

    def add(self, value: int) -> None:
        """Add `value`."""
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
        """Double the number of places."""
        old, self.places = self.places, array("Q", [0]) * (2 * len(self.places))
        for value in old:
            if value:
                self.places[self.place(value)] = value
