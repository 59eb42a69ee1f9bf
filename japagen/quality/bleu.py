"""Self-BLEU: how far each row consists of parts of the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from japagen.quality.unit import Row, grams

ORDERS = (1, 2, 3, 4)


def self_bleu(rows: Sequence[Row]) -> float:
    """Self-BLEU, from 0 (no n-gram occurs in two rows) to 1 (every row repeats another).

    The mean over rows of BLEU(row; all other rows), without unit. BLEU is the geometric mean of the
    shares of 1- to 4-grams that occur in another row, times the brevity penalty; sacreBLEU's
    sentence BLEU with effective order and exponential smoothing gives the same value, but counts
    the other rows again for each row. Depends on the number of rows. Source: Zhu et al. 2018,
    "Texygen"; Post 2018, "A Call for Clarity in Reporting BLEU Scores".
    """
    if len(rows) < 2:
        return 0.0
    counts = [list(matches(rows, n)) for n in ORDERS]
    lengths = [sum(len(text) for text in row) for row in rows]
    found = Counter(lengths)
    scores = [
        bleu([order[place] for order in counts], length, closest(length, found))
        for place, length in enumerate(lengths)
    ]
    return sum(scores) / len(scores)


def matches(rows: Sequence[Row], n: int) -> Iterator[tuple[int, int]]:
    """For each row (its n-grams in other rows, clipped to the highest count in one; all)."""
    counts = [grams(row, n) for row in rows]
    first: Counter[Any] = Counter()  # the highest count of a gram in a row, and the second highest
    second: Counter[Any] = Counter()
    for row in counts:
        for gram, count in row.items():
            first[gram], second[gram] = sorted((first[gram], second[gram], count), reverse=True)[:2]
    for row in counts:
        held = sum(
            min(count, second[gram] if count == first[gram] else first[gram])
            for gram, count in row.items()
        )
        yield held, row.total()


def closest(length: int, lengths: Counter[int]) -> int:
    """The length of another row that is nearest to `length`; of two, the shorter."""
    others = (one for one, count in lengths.items() if one != length or count > 1)
    return min(others, key=lambda one: (abs(one - length), one))


def bleu(counts: Sequence[tuple[int, int]], length: int, reference: int) -> float:
    """BLEU from (matching, all) n-grams of each order and the two lengths."""
    if not any(matching for matching, _ in counts):
        return 0.0
    logs, smooth = list[float](), 1.0
    for matching, number in counts:
        if not number:
            break
        if not matching:
            smooth *= 2
        logs.append(math.log(matching / number if matching else 1 / (smooth * number)))
    penalty = min(0.0, 1 - reference / length)
    return math.exp(penalty + sum(logs) / len(logs))
