"""Tests of whether two methods differ: paired bootstrap, paired t-test, Holm's correction."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

RESAMPLES = 2000
BLOCK = 4_000_000  # weights in memory at once, as floats
HUGE = 1e100  # larger numbers overflow when they are squared


@dataclass(frozen=True)
class Resampled:
    """Scores of one method on each resample of the gold rows `ids`, (RESAMPLES,).

    Methods with the same ids have the same resamples.
    """

    ids: tuple[str, ...]
    scores: Array


def resampled(metric: str, runs: Sequence[Mapping[str, tuple[str, str]]]) -> Resampled | None:
    """The mean score over `runs` ({row id: (gold, predicted)}) on each resample.

    None if the runs have different rows, or the metric cannot be computed from them.
    """
    ids = tuple(sorted(runs[0])) if runs else ()
    if not ids or any(tuple(sorted(run)) != ids for run in runs):
        return None
    import numpy as np

    total = np.zeros(RESAMPLES)
    for run in runs:
        gold, predicted = zip(*(run[key] for key in ids), strict=True)
        one = score(metric, gold, predicted)
        if one is None:
            return None
        total += one
    return Resampled(ids, total / len(runs))


def bootstrap(one: Resampled | None, two: Resampled | None) -> float | None:
    """The two-sided p-value of equal scores; None if one is missing or the rows differ."""
    if one is None or two is None or one.ids != two.ids:
        return None
    difference = one.scores - two.scores
    fewer = min(int((difference <= 0).sum()), int((difference >= 0).sum()))
    # Both counts get one more, as in any Monte Carlo test: no number of resamples shows p = 0.
    return min(1.0, 2 * (fewer + 1) / (RESAMPLES + 1))


def t_test(one: Mapping[str, float], two: Mapping[str, float]) -> float | None:
    """The paired p-value over common seeds; None for fewer than two or for equal differences."""
    seeds = sorted(one.keys() & two.keys())
    differences = [one[seed] - two[seed] for seed in seeds]
    if len(seeds) < 2 or max(differences) - min(differences) < 1e-12:
        return None
    import scipy.stats

    return float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected by Holm's step-down method, in the given order."""
    made, highest = [0.0] * len(values), 0.0
    for step, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, values[place] * (len(values) - step)))
        made[place] = highest
    return made


@functools.lru_cache(maxsize=1)
def resamples(rows: int) -> Array:
    """How often each row is in each resample: (RESAMPLES, rows), the same at every call."""
    import numpy as np

    random = np.random.default_rng(0)
    made = np.empty((RESAMPLES, rows), dtype=np.uint8)
    for one in made:
        one[:] = np.bincount(random.integers(rows, size=rows), minlength=rows)
    return made


def score(metric: str, gold: Sequence[str], predicted: Sequence[str]) -> Array | None:
    """The metric on each resample, (RESAMPLES,); None for an unknown metric or unusable numbers."""
    import numpy as np

    weights = resamples(len(gold))
    step = max(1, BLOCK // len(gold))
    blocks = [
        weights[start : start + step].astype(np.float64) for start in range(0, RESAMPLES, step)
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
