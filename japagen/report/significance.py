"""Whether two methods differ: paired bootstrap over gold rows, paired t-test over seeds, Holm's correction."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Resampled:
    """Scores of one method on RESAMPLES drawings of the gold rows `ids`; methods with the same ids saw the same drawings."""

    ids: tuple[str, ...]
    scores: Array


def resampled(metric: str, runs: Sequence[Mapping[str, tuple[str, str]]]) -> Resampled | None:
    """The mean score over `runs` ({row id: (gold, predicted)}) on each drawing; None where rows or the metric do not allow it."""
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
    """The two-sided p-value of equal scores; None where one is lacking or they are of different rows."""
    if one is None or two is None or one.ids != two.ids:
        return None
    difference = one.scores - two.scores
    fewer = min(int((difference <= 0).sum()), int((difference >= 0).sum()))
    # One is added to both counts, as for any Monte Carlo test: a p of 0 cannot be had from a finite number of drawings.
    return min(1.0, 2 * (fewer + 1) / (RESAMPLES + 1))


def t_test(one: Mapping[str, float], two: Mapping[str, float]) -> float | None:
    """The paired p-value over the seeds that both have; None for fewer than two or for differences that are all the same."""
    seeds = sorted(one.keys() & two.keys())
    differences = [one[seed] - two[seed] for seed in seeds]
    if len(seeds) < 2 or max(differences) - min(differences) < 1e-12:
        return None
    import scipy.stats

    return float(scipy.stats.ttest_1samp(differences, 0.0).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method, in the given order."""
    made, highest = [0.0] * len(values), 0.0
    for step, place in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, values[place] * (len(values) - step)))
        made[place] = highest
    return made


@functools.lru_cache(maxsize=1)
def drawings(rows: int) -> Array:
    """How often each of `rows` rows is in each drawing: (RESAMPLES, rows), the same whenever asked."""
    import numpy as np

    random = np.random.default_rng(0)
    made = np.empty((RESAMPLES, rows), dtype=np.uint8)
    for drawing in made:
        drawing[:] = np.bincount(random.integers(rows, size=rows), minlength=rows)
    return made


def score(metric: str, gold: Sequence[str], predicted: Sequence[str]) -> Array | None:
    """The metric on each drawing, (RESAMPLES,); None for one not known here or numbers that cannot be read."""
    import numpy as np

    weights = drawings(len(gold))
    step = max(1, BLOCK // len(gold))
    blocks = [
        weights[start : start + step].astype(np.float64) for start in range(0, RESAMPLES, step)
    ]
    if metric in ("spearman", "pearson"):
        try:
            numbers = [np.array([float(text) for text in side]) for side in (gold, predicted)]
        except ValueError:
            return None
        return np.concatenate([correlation(metric, block, *numbers) for block in blocks])
    if metric not in ("accuracy", "mcc", "macro_f1"):
        return None
    return np.concatenate(
        [agreement(metric, block, np.array(gold), np.array(predicted)) for block in blocks]
    )


def agreement(metric: str, weights: Array, gold: Array, predicted: Array) -> Array:
    """Accuracy, Matthews correlation or macro F1 of labels, with weighted rows."""
    import numpy as np

    if metric == "accuracy":
        return np.asarray(weights @ (gold == predicted) / len(gold))
    labels = np.union1d(gold, predicted)
    is_gold, is_predicted = gold[:, None] == labels, predicted[:, None] == labels
    told, said, right = (
        weights @ is_gold,
        weights @ is_predicted,
        weights @ (is_gold & is_predicted),
    )
    if metric == "macro_f1":
        f1 = np.divide(2 * right, told + said, out=np.zeros_like(right), where=told + said > 0)
        return np.asarray(f1.sum(1) / (told + said > 0).sum(1))
    rows = float(len(gold))
    above = right.sum(1) * rows - (told * said).sum(1)
    below = np.sqrt((rows**2 - (said**2).sum(1)) * (rows**2 - (told**2).sum(1)))
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
    """The rank of each row where row i is there weights[i] times; equal numbers share the middle of their ranks."""
    import numpy as np

    values, place = np.unique(numbers, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(values)))
    each = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((np.cumsum(each, axis=1) - each / 2 + 0.5)[:, place])
