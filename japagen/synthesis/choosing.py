"""Which candidates of a label to keep: confident, diverse or balanced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5  # of the cross-validation that predicts each candidate's label


@dataclass(frozen=True)
class Pool:
    """Candidates in plan order: their labels, slot values and vectors (rows, width).

    `taken`: the places of those that were kept before. `vectors` has no rows with `balanced`.
    """

    labels: Sequence[str]
    slots: Sequence[str]
    vectors: np.ndarray
    taken: Sequence[int]

    def free(self, label: str) -> list[int]:
        """Return the places of a label's candidates that may still be kept."""
        taken = set(self.taken)
        return [n for n, own in enumerate(self.labels) if own == label and n not in taken]

    def kept(self, label: str) -> list[int]:
        """Return the places of a label's candidates that were kept before."""
        return [place for place in self.taken if self.labels[place] == label]


def choose(name: str, pool: Pool, wanted: dict[str, int]) -> list[int]:
    """Return the places to keep, as many of each label as are `wanted`, or all that there are."""
    if name == "confident":
        return confident(pool, wanted)
    method = diverse if name == "diverse" else balanced
    return [place for label, number in wanted.items() for place in method(pool, label, number)]


def confident(pool: Pool, wanted: dict[str, int]) -> list[int]:
    """Return candidates in plan order, doubted ones only if there are too few others.

    Of these, the least doubted first. Doubted by confident learning (Northcutt et al.
    2021, "Confident Learning: Estimating Uncertainty in Dataset Labels") over the cross-validated
    predictions of a logistic regression.
    """
    doubt = doubts(pool)
    chosen = []
    for label, number in wanted.items():
        ranked = sorted(pool.free(label), key=lambda place: (doubt.get(place, -1.0), place))
        chosen += ranked[:number]
    return chosen


def doubts(pool: Pool) -> dict[int, float]:
    """Return place -> 1 minus the probability of its label, for the likely label errors.

    Empty if a label has too few candidates for cross-validation.
    """
    import numpy as np
    from cleanlab.filter import find_label_issues

    given, shares = predicted(pool.labels, pool.vectors)
    if not len(shares):
        return {}
    issues = find_label_issues(given, shares, filter_by="confident_learning", n_jobs=1)
    return {int(n): 1.0 - float(shares[n, given[n]]) for n in np.flatnonzero(issues)}


def confidences(labels: Sequence[str], vectors: np.ndarray) -> list[float]:
    """Return the probability of each row's label, from a classifier that did not see the row.

    Empty if a label has too few rows for cross-validation.
    """
    given, shares = predicted(labels, vectors)
    return [round(float(row[own]), 6) for row, own in zip(shares, given, strict=False)]


def predicted(labels: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (each row's label as a number, the cross-validated probabilities of all labels).

    Of a logistic regression. There are no probabilities if a label has too few rows.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    names, given = np.unique(np.array(labels), return_inverse=True)
    folds = min([FOLDS, *np.bincount(given).tolist()])
    if len(names) < 2 or folds < 2:
        return given, np.empty((0, 0))
    split = StratifiedKFold(folds, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000)
    shares = cross_val_predict(model, vectors, given, cv=split, method="predict_proba")
    return given, shares


def diverse(pool: Pool, label: str, number: int) -> list[int]:
    """Return the candidates that are farthest from those kept before, one after the other.

    k-center greedy: Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach", algorithm 1. Equally far ones in plan order.
    """
    import numpy as np

    free = pool.free(label)
    vectors, nearest = pool.vectors[free], np.full(len(free), np.inf)
    for center in pool.kept(label):
        nearest = np.minimum(nearest, distances(vectors, pool.vectors[center]))
    chosen: list[int] = []
    while len(chosen) < min(number, len(free)):
        place = int(nearest.argmax())
        chosen.append(free[place])
        nearest = np.minimum(nearest, distances(vectors, vectors[place]))
        nearest[place] = -1.0
    return chosen


def distances(vectors: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distance of each vector from `center`."""
    import numpy as np

    away = vectors - center
    found: np.ndarray = np.einsum("nw,nw->n", away, away)
    return found


def balanced(pool: Pool, label: str, number: int) -> list[int]:
    """Return candidates so that each slot value is kept equally often, in plan order."""
    counts = Counter(pool.slots[place] for place in pool.kept(label))
    waiting: dict[str, list[int]] = {}
    for place in pool.free(label):
        waiting.setdefault(pool.slots[place], []).append(place)
    chosen: list[int] = []
    while len(chosen) < number and waiting:
        slot = min(waiting, key=lambda value: (counts[value], waiting[value][0]))
        chosen.append(waiting[slot].pop(0))
        counts[slot] += 1
        if not waiting[slot]:
            del waiting[slot]
    return chosen
