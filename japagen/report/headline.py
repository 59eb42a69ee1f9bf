"""The score of each method of a task beside the majority class: the first chart of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.report import format, scale, template
from japagen.report.chart import COLOURS, SHAPES, WIDTH, cut, tick
from japagen.report.curve import series_name, series_numbers
from japagen.report.row import Row
from japagen.report.table import Cell, Column

MOST = 12  # methods in a chart; of more, the best
LEFT, RIGHT = 24, 250  # pixels between which marks are; the score is printed right of them
TOP, STEP = 40, 38  # pixels above the first method, and of each method
LONGEST = 54  # half-width characters of a name


@dataclass(frozen=True)
class Method:
    """A method's name, mean and standard deviation. `number` decides colour and shape."""

    name: str
    number: int
    mean: float
    spread: float | None
    best: bool


@dataclass(frozen=True)
class Headline:
    """The methods of one task, and how many more the table has."""

    task: str
    metric: str
    methods: Sequence[Method]
    majority: float | None
    left_out: int


def headlines(columns: Sequence[Column], labels: Mapping[Row, str]) -> list[Headline]:
    """A chart for each task; colours and shapes are those of the other charts."""
    return [headline(column, labels) for column in columns]


def headline(column: Column, labels: Mapping[Row, str]) -> Headline:
    """The chart of a task: its methods in the table's order, the best ones if there are many."""
    numbers = series_numbers(labels)
    best = sorted(column.cells, key=lambda row: -column.cells[row].mean)[:MOST]
    methods = [
        method(label, numbers[series_name(label)], column.cells[row], row == column.best)
        for row, label in labels.items()
        if row in best
    ]
    left_out = len(column.cells) - len(methods)
    return Headline(column.task, column.metric, methods, column.majority, left_out)


def method(label: str, number: int, cell: Cell, best: bool) -> Method:
    """One line of the chart."""
    return Method(label, number, cell.mean, cell.spread, best)


def svg(chart: Headline, alone: bool = False) -> str:
    """The chart as SVG; `alone` with its own style and namespace, as a file."""
    xs, bottom = axis(chart), TOP + STEP * len(chart.methods)
    return template.render(
        "headline.svg.jinja",
        chart=chart,
        alone=alone,
        description=describe(chart),
        width=WIDTH,
        left=LEFT,
        right=RIGHT,
        top=TOP,
        bottom=bottom,
        height=bottom + 26 + 19 * ((chart.majority is not None) + bool(chart.left_out)),
        ticks=[(xs(number), tick(number)) for number in xs.ticks],
        rows=[drawn(one, TOP + STEP * place, xs) for place, one in enumerate(chart.methods)],
        rule=None if chart.majority is None else xs(chart.majority),
    )


def axis(chart: Headline) -> scale.Scale:
    """An axis that covers every standard deviation and the majority class."""
    found = [one.mean + sign * (one.spread or 0.0) for one in chart.methods for sign in (-1, 1)]
    rule = [] if chart.majority is None else [chart.majority]
    return scale.rounded([*found, *rule], LEFT, RIGHT)


def drawn(one: Method, y: float, xs: scale.Scale) -> dict[str, Any]:
    """Texts and pixels of one method."""
    spread = one.spread or 0.0
    return {
        "name": cut(one.name, LONGEST),
        "whole": one.name,
        "best": one.best,
        "score": " ".join(filter(None, [format.score(one.mean), format.spread(one.spread)])),
        "y": y,
        "x": xs(one.mean),
        "low": xs(one.mean - spread),
        "high": xs(one.mean + spread),
        "colour": one.number % COLOURS,
        "shape": SHAPES[one.number % len(SHAPES)],
    }


def describe(chart: Headline) -> str:
    """The chart in words, for readers who do not see it."""
    parts = [f"{one.name}: {format.score(one.mean)}" for one in chart.methods]
    if chart.majority is not None:
        parts.append(f"majority class: {format.score(chart.majority)}")
    return f"{chart.task}, {chart.metric} of each method. " + "; ".join(parts) + "."
