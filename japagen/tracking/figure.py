"""The confusion matrix as a figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from japagen.tracking.safe import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 40.0  # inches; 100 labels would otherwise need 60


def confusion(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Figure:
    """A matrix of counts, gold down and predicted across, for (gold, predicted) pairs of `labels`.

    Labels are drawn as they are, never as formulas.
    """
    from matplotlib.figure import Figure

    counts = Counter(zip(gold, predicted, strict=True))
    table = [[counts[row, column] for column in labels] for row in labels]
    ticks, size = range(len(labels)), min(0.6 * len(labels), LARGEST)
    figure = Figure(figsize=(3 + size, 2.5 + size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(table, cmap="Blues")
    names = [drawn(label) for label in labels]
    # Matplotlib reads $...$ as a formula unless parse_math is off.
    axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set(xlabel="predicted", ylabel="gold")
    darkest = max(max(row) for row in table)
    for y, x in ((y, x) for y in ticks for x in ticks):
        color = "white" if 2 * table[y][x] > darkest else "black"
        axes.text(x, y, str(table[y][x]), ha="center", va="center", color=color)
    return figure
