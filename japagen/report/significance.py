"""Tests of whether two methods differ: over gold rows and seeds, with Holm's correction."""

from __future__ import annotations

import contextlib
import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

RESAMPLES = 2000
BLOCK = 4_000_000  # weights in memory at once, as floats
HUGE = 1e100  # larger numbers overflow when they are squared
UNREAD = ""  # an answer that names no label
SEEDS = 3  # fewer show too little of how much seeds differ

Rows = Mapping[str, tuple[str, str]]  # row id -> (gold, predicted)


@dataclass(frozen=True)
class Resampled:
    """Scores of one method on the gold rows `ids`.

    `resampled`: the mean over its runs on each resample of the rows, (RESAMPLES,), which are the
    same for all methods. `seeds`: the score of each run on all rows; where the runs have several
    datasets, of each dataset the mean, because runs of one dataset are not independent.
    """

    ids: tuple[str, ...]
    resampled: Array
    seeds: tuple[float, ...]


def resampled(metric: str, runs: Sequence[Rows], datasets: Sequence[str] = ()) -> Resampled | None:
    """The scores of a method with `runs`, one for each seed; `datasets`: the dataset of each.

    None if the runs have different rows, or the metric cannot be computed from them.
    """
    ids = tuple(sorted(runs[0])) if runs else ()
    if not ids or any(tuple(sorted(run)) != ids for run in runs):
        return None
    import numpy as np

    total, seeds = np.zeros(RESAMPLES), list[float]()
    for run in runs:
        gold, predicted = zip(*(run[key] for key in ids), strict=True)
        one = score(metric, gold, predicted)
        if one is None:
            return None
        total += one[1:]
        seeds.append(float(one[0]))
    groups: dict[str, list[float]] = {}
    for dataset, one_score in zip(datasets, seeds, strict=False):
        groups.setdefault(dataset, []).append(one_score)
    if len(groups) > 1:
        seeds = [float(np.mean(scores)) for scores in groups.values()]
    return Resampled(ids, total / len(runs), tuple(seeds))


def majority(metric: str, rows: Rows) -> Resampled | None:
    """The scores of always predicting the most frequent gold label; None for a regression."""
    if metric in ("spearman", "pearson") or not rows:
        return None
    label = Counter(gold for gold, _ in rows.values()).most_common(1)[0][0]
    return resampled(metric, [{key: (gold, label) for key, (gold, _) in rows.items()}])


def p_value(one: Resampled | None, two: Resampled | None) -> float | None:
    """The two-sided p-value of equal scores; None if one is missing or the rows differ.

    The squared standard error of the difference has two parts: the variance over resamples of the
    gold rows (paired bootstrap), and of each method the variance over its seeds divided by their
    number, which is what a hierarchical bootstrap resamples. Three resampled seeds would understate
    it by a third, so it is computed. The degrees of freedom are those of Satterthwaite (1946).
    A method with one run counts as one without seeds, such as prompting.
    """
    if one is None or two is None or one.ids != two.ids:
        return None
    import numpy as np
    import scipy.stats

    difference = float(np.mean(one.seeds) - np.mean(two.seeds))
    parts = [(float(np.var(one.resampled - two.resampled, ddof=1)), max(1, len(one.ids) - 1))]
    for seeds in (one.seeds, two.seeds):
        if len(seeds) > 1:
            parts.append((float(np.var(seeds, ddof=1)) / len(seeds), len(seeds) - 1))
    squared = sum(variance for variance, _ in parts)
    if squared < 1e-24:
        # As in any Monte Carlo test, no number of resamples shows p = 0.
        return 1.0 if abs(difference) < 1e-12 else 2 / (RESAMPLES + 1)
    freedom = squared**2 / sum(variance**2 / degrees for variance, degrees in parts)
    return float(2 * scipy.stats.t.sf(abs(difference) / math.sqrt(squared), freedom))


def holm(values: Sequence[float], number: int = 0) -> list[float]:
    """p-values corrected by Holm's step-down method, in the given order.

    `number`: how many comparisons there are if `values` are only those that were chosen to be shown
    after looking at the scores.
    """
    made, highest = [0.0] * len(values), 0.0
    number = max(number, len(values))
    for step, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, values[place] * (number - step)))
        made[place] = highest
    return made


@functools.lru_cache(maxsize=1)
def resamples(rows: int) -> Array:
    """How often each row is in each sample: (1 + RESAMPLES, rows), the same at every call.

    The first sample has each row once.
    """
    import numpy as np

    random = np.random.default_rng(0)
    made = np.ones((1 + RESAMPLES, rows), dtype=np.uint8)
    for one in made[1:]:
        one[:] = np.bincount(random.integers(rows, size=rows), minlength=rows)
    return made


def score(metric: str, gold: Sequence[str], predicted: Sequence[str]) -> Array | None:
    """The metric on all rows and on each resample, (1 + RESAMPLES,).

    None for an unknown metric or unusable numbers.
    """
    import numpy as np

    weights = resamples(len(gold))
    step = max(1, BLOCK // len(gold))
    blocks = [
        weights[start : start + step].astype(np.float64) for start in range(0, len(weights), step)
    ]
    if metric in ("spearman", "pearson"):
        numbers = [parsed(side) for side in (gold, predicted)]
        # A NaN would compare as neither higher nor lower, and so look significant.
        if any(not (np.abs(side) < HUGE).all() for side in numbers):
            return None
        return np.concatenate([correlation(metric, block, *numbers) for block in blocks])
    if metric not in ("accuracy", "mcc", "macro_f1"):
        return None
    return np.concatenate(
        [agreement(metric, block, np.array(gold), np.array(predicted)) for block in blocks]
    )


def parsed(texts: Sequence[str]) -> Array:
    """The numbers that `texts` name, NaN for those that name none."""
    import numpy as np

    made = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        with contextlib.suppress(ValueError):
            made[place] = float(text)
    return made


def agreement(metric: str, weights: Array, gold: Array, predicted: Array) -> Array:
    """Accuracy, Matthews correlation or macro F1 of labels, with weighted rows."""
    import numpy as np

    if metric == "accuracy":
        return np.asarray(weights @ (gold == predicted) / len(gold))
    labels = np.union1d(gold, predicted)
    is_gold, is_predicted = gold[:, None] == labels, predicted[:, None] == labels
    actual, said = weights @ is_gold, weights @ is_predicted
    right = weights @ (is_gold & is_predicted)
    if metric == "macro_f1":
        # An answer that names no label is wrong, and no label of its own.
        kept = labels != UNREAD
        actual, said, right = actual[:, kept], said[:, kept], right[:, kept]
        f1 = np.divide(2 * right, actual + said, out=np.zeros_like(right), where=actual + said > 0)
        return np.asarray(f1.sum(1) / (actual + said > 0).sum(1))
    rows = float(len(gold))
    above = right.sum(1) * rows - (actual * said).sum(1)
    below = np.sqrt((rows**2 - (said**2).sum(1)) * (rows**2 - (actual**2).sum(1)))
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))


def correlation(metric: str, weights: Array, gold: Array, predicted: Array) -> Array:
    """Pearson's correlation of numbers, or of their ranks, with weighted rows."""
    import numpy as np

    sides = [
        ranks(weights, side) if metric == "spearman" else np.broadcast_to(side, weights.shape)
        for side in (gold, predicted)
    ]
    centred = [side - (weights * side).sum(1, keepdims=True) / len(gold) for side in sides]
    above = (weights * centred[0] * centred[1]).sum(1)
    below = np.sqrt(math.prod((weights * side**2).sum(1) for side in centred))
    return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12))


def ranks(weights: Array, numbers: Array) -> Array:
    """The rank of each row if row i occurs weights[i] times; ties share their middle rank."""
    import numpy as np

    values, place = np.unique(numbers, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(values)))
    each = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((np.cumsum(each, axis=1) - each / 2 + 0.5)[:, place])
