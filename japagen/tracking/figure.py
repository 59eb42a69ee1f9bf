"""Predictions beside gold as a figure: the confusion matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "IPAexGothic",
    "IPAGothic",
    "Hiragino Sans",
    "Yu Gothic",
    "MS Gothic",
)


def confusion(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Figure:
    """A matrix of counts, gold down and predicted across; pairs with a label not in `labels` are left out."""
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [*[name for name in FONTS if name in installed][:1], "sans-serif"]
    counts, ticks, size = (
        Counter(zip(gold, predicted, strict=True)),
        range(len(labels)),
        0.6 * len(labels),
    )
    table = [[counts[row, column] for column in labels] for row in labels]
    figure = Figure(figsize=(3 + size, 2.5 + size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(table, cmap="Blues")
    axes.set_xticks(ticks, labels, rotation=45, ha="right", fontfamily=fonts)
    axes.set_yticks(ticks, labels, fontfamily=fonts)
    axes.set(xlabel="predicted", ylabel="gold")
    for y, x in ((y, x) for y in ticks for x in ticks):
        color = "white" if 2 * table[y][x] > max(map(max, table)) else "black"
        axes.text(x, y, str(table[y][x]), ha="center", va="center", color=color)
    return figure
