"""The charts of a dataset's page, drawn by the report's code as SVG with text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from japagen.quality.measured import Measured, Points
from japagen.report.chart import Chart, Point, Series

BINS = 10
HIGHEST = 0.99  # quantile at which an axis of lengths ends


def charts(found: Measured) -> list[Chart]:
    """Distributions of length and overlap, and the map of vectors, as far as measured."""
    drawn = list[Chart]()
    if found.lengths:
        most = quantile([one for own in found.lengths.values() for one in own], HIGHEST)
        drawn.append(histogram("Length", "characters of a row", found.lengths, 0, most))
    if found.overlaps:
        title, x = "Overlap of the pairs", "share of the last text's 2-grams in the first"
        drawn.append(histogram(title, x, found.overlaps, 0.0, 1.0))
    if found.map:
        series = [
            Series(name, number, [Point(x, y) for x, y in points])
            for number, (name, points) in enumerate(ordered(found.map))
        ]
        drawn.append(
            Chart(
                "Map of the rows",
                "first principal component",
                "second principal component",
                series,
                line=False,
            )
        )
    return drawn


def ordered(drawn: Mapping[str, Points]) -> list[tuple[str, Points]]:
    """(name, points), synthetic first so that its colour is the one of the other charts."""
    return sorted(drawn.items(), key=lambda one: one[0] != "synthetic")


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return float(sorted(values)[int(share * (len(values) - 1))])


def histogram(
    title: str, x: str, values: Mapping[str, Sequence[float]], low: float, high: float
) -> Chart:
    """The share of rows in each of ten bins, a line for each series; the last bin has the rest."""
    width = max((high - low) / BINS, 1e-9)
    if isinstance(next(iter(values.values()))[0], int):
        width = math.ceil(width)  # whole characters, or bins would differ in size
    series = list[Series]()
    for number, (name, own) in enumerate(values.items()):
        counts = [0] * BINS
        for value in own:
            counts[max(0, min(BINS - 1, int((value - low) / width)))] += 1
        points = [
            Point(round(low + width * (place + 0.5), 4), count / len(own))
            for place, count in enumerate(counts)
        ]
        series.append(Series(name, number, points))
    return Chart(title, x, "share of rows", series)
