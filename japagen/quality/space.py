"""Measures of vectors: diversity, and distance from gold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NEIGHBOURS = 5


def vendi(vectors: np.ndarray) -> float:
    """Vendi score, from 1 (all rows alike) to the number of rows (all at right angles).

    exp of the entropy of the eigenvalues of K / n, where K is the matrix of cosines: the effective
    number of different rows. E5's cosines are all high (above 0.7), so its scores are low; compare
    with as many gold rows. Source: Friedman and Dieng 2023, "The Vendi Score".
    """
    import numpy as np

    values = np.linalg.eigvalsh(vectors.T.astype(np.float64) @ vectors / len(vectors))
    values = values[values > 0]
    return float(np.exp(-np.sum(values * np.log(values))))


def mean_distance(vectors: np.ndarray) -> float:
    """Mean cosine distance of two rows, from 0 (all alike) to 2; 1 - cosine.

    Source: Yu et al. 2023, "Large Language Model as Attributed Training Data Generator", which
    reports the mean cosine.
    """
    import numpy as np

    number = len(vectors)
    if number < 2:
        return 0.0
    total = float(np.square(vectors.sum(0, dtype=np.float64)).sum())
    return 1 - (total - number) / (number * (number - 1))


def coverage_and_density(
    gold: np.ndarray, rows: np.ndarray, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """(coverage, density) of `rows` with respect to `gold`.

    Each gold row has a ball that reaches to its fifth nearest gold row. Coverage, from 0 to 1: the
    share of balls with a row in them. Density, 0 or more: the mean number of balls that a row is
    in, divided by 5; about 1 for rows like gold. Source: Naeem et al. 2020, "Reliable Fidelity and
    Diversity Metrics for Generative Models".
    """
    import numpy as np

    own = np.sort(distances(gold, gold), axis=1)
    radius = own[:, min(neighbours, len(gold) - 1)][:, None]  # the first is the row itself
    across = distances(gold, rows)
    coverage = float((across.min(1, keepdims=True) < radius).mean())
    return coverage, float((across < radius).sum(0).mean()) / neighbours


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(rows of one, rows of other) Euclidean distances."""
    from sklearn.metrics import pairwise_distances

    found: np.ndarray = pairwise_distances(one, other, metric="euclidean")
    return found


def plane(samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The samples, together projected to the two principal components: (rows, 2) each."""
    import numpy as np

    every = np.concatenate(list(samples)).astype(np.float64)
    every -= every.mean(0)
    axes = np.linalg.svd(every, full_matrices=False)[2][:2]
    ends = np.cumsum([len(sample) for sample in samples])[:-1]
    return np.split(every @ axes.T, ends)
