"""Measures of the encoder's vectors, on a seeded sample of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from japagen.config.error import UserError
from japagen.quality import classifier, labels, space
from japagen.quality.data import groups, in_order, matched
from japagen.quality.measured import Measured
from japagen.student import vectors

if TYPE_CHECKING:
    import numpy as np

DRAWN = 250  # points of each kind on the map
LEAST = 20  # rows below which vectors are not compared


def measure(found: Measured, number: int) -> None:
    """Add the measures of the encoder's vectors."""
    data = found.data
    rows = in_order(data.rows, number)
    if not rows:
        return
    try:
        own = vectors.of([row.texts for row in rows])
        _, gold = matched(data, number)
        theirs = vectors.of([row.texts for row in gold]) if gold else None
    except UserError as error:
        found.notes.append(f"vectors: not measured. {error}")
        return
    found.metrics["embedded_rows"] = float(len(rows))
    spread(found, vectors.whole(own), vectors.whole(theirs) if theirs is not None else None)
    if data.task.kind == "classification":
        labels.confident(found, vectors.features(own), rows)
        if theirs is not None:
            others = labels.doubted(found, vectors.features(theirs), groups(gold, data.task))
            shares = others.shares() if others else {}
            found.metrics |= {f"gold_{name}": value for name, value in shares.items()}


def spread(found: Measured, own: np.ndarray, gold: np.ndarray | None) -> None:
    """Add diversity of vectors, and their distance from gold."""
    if len(own) < LEAST:
        return
    size = len(own) if gold is None else min(len(own), len(gold))
    for prefix, sample in (("", own), ("gold_", gold)):
        if sample is not None and size >= LEAST:
            found.metrics[f"{prefix}vendi"] = space.vendi(shuffled(sample)[:size])
            found.metrics[f"{prefix}mean_distance"] = space.mean_distance(shuffled(sample)[:size])
    if gold is None or len(gold) < LEAST:
        return
    own, gold = shuffled(own), shuffled(gold)
    half = len(gold) // 2
    for prefix, sample in (("", own[:half]), ("gold_", gold[half : 2 * half])):
        coverage, density = space.coverage_and_density(gold[:half], sample)
        found.metrics |= {f"{prefix}coverage": coverage, f"{prefix}density": density}
    apart = classifier.separation(classifier.dense(size), own[:size], gold[:size])
    if apart is not None:
        found.metrics["two_sample_vectors_auc"] = apart
    points = space.plane([gold[:DRAWN], own[:DRAWN]])
    names = ("gold", "synthetic")
    found.map = {
        name: [(float(x), float(y)) for x, y in one]
        for name, one in zip(names, points, strict=True)
    }


def shuffled(sample: np.ndarray) -> np.ndarray:
    """The rows in random order, always the same one: samples are ordered by label."""
    import numpy as np

    return sample[np.random.default_rng(0).permutation(len(sample))]
