"""Distance between the rows and gold: lengths, n-grams, script."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from japagen.quality.unit import Row, total
from japagen.text.japanese import KANJI

JAPANESE = re.compile(f"[\u3041-\u30ff{KANJI}]")


def lengths(rows: Sequence[Row]) -> list[int]:
    """Characters or words of each row."""
    return [sum(len(text) for text in row) for row in rows]


def wasserstein(one: Sequence[float], other: Sequence[float]) -> float:
    """Wasserstein distance of two samples, 0 or more, in their unit.

    The integral of |F - G| of the two distribution functions: by how much the values of one must
    be moved on average to be those of the other. Source: Ramdas et al. 2017, "On Wasserstein
    Two-Sample Testing and Related Families of Nonparametric Tests".
    """
    import numpy as np

    a, b = np.sort(one), np.sort(other)
    if not len(a) or not len(b):
        return 0.0
    every = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(values, every[:-1], "right") / len(values) for values in (a, b)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(every)))


def divergence(one: Counter[Any], other: Counter[Any]) -> float:
    """Jensen-Shannon divergence of two counts, in bits, from 0 (alike) to 1 (nothing in common).

    (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2. Source: Lin 1991, "Divergence Measures Based
    on the Shannon Entropy".
    """
    sums, found = (max(1, one.total()), max(1, other.total())), 0.0
    for gram in one.keys() | other.keys():
        p, q = one[gram] / sums[0], other[gram] / sums[1]
        mean = (p + q) / 2
        found += sum(share * math.log2(share / mean) for share in (p, q) if share) / 2
    return found


def overlap(rows: Sequence[Row], gold: Sequence[Row], n: int) -> float:
    """The share, from 0 to 1, of the rows' n-grams that occur in gold."""
    known, ours = total(gold, n), total(rows, n)
    return sum(count for gram, count in ours.items() if gram in known) / max(1, ours.total())


def by_label(
    rows: Mapping[str, Sequence[Row]], gold: Mapping[str, Sequence[Row]], n: int, prefix: str
) -> dict[str, float]:
    """Divergences of n-grams from gold, label by label, their mean, and gold's own as the floor.

    Few rows have a high divergence. So equally many are compared with one half of gold, and
    `gold_divergence` is that of the other half. Nothing for labels without two gold rows.
    """
    apart, floor = dict[str, float](), list[float]()
    for label, some in rows.items():
        size = min(len(some), len(gold[label]) // 2)
        if size:
            half = total(gold[label][:size], n)
            apart[label] = divergence(total(some[:size], n), half)
            floor.append(divergence(total(gold[label][size : 2 * size], n), half))
    if not apart:
        return {}
    found = {f"{prefix}divergence/{label}": value for label, value in apart.items()}
    found[f"{prefix}divergence"] = sum(apart.values()) / len(apart)
    found[f"gold_{prefix}divergence"] = sum(floor) / len(floor)
    return found


def japanese(texts: Sequence[str]) -> bool:
    """Whether every text of a row has kana or kanji."""
    return all(JAPANESE.search(text) for text in texts)
