"""Series of points -> an SVG of text that reads in light and dark, on a page or as a file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.report import scale, template

COLOURS = 8  # classes s0 to s7 of chart.css
# Unit shapes, so that colour is never the only difference.
SHAPES = (
    "M0-4.2a4.2 4.2 0 1 0 .01 0z",
    "M-3.7-3.7h7.4v7.4h-7.4z",
    "M0-5.2 5.2 0 0 5.2-5.2 0z",
    "M0-4.8 4.8 3.8h-9.6z",
    "M0 4.8 4.8-3.8h-9.6z",
    "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
)
WIDTH, LEFT, RIGHT, TOP, PLOT = 360, 44, 12, 46, 184
LINE = 19  # pixels of a line of the legend
LONGEST = 42  # half-width characters of a name in the legend


@dataclass(frozen=True)
class Point:
    """A point with the standard deviation of its y, if there is one."""

    x: float
    y: float
    spread: float | None = None


@dataclass(frozen=True)
class Series:
    """Points of one name. `number` decides colour and shape, the same in all charts."""

    name: str
    number: int
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """The content of a chart.

    `line` joins the points of a series, `log` makes the x axis logarithmic, `percent` prints x as
    a percentage, `rule` is a dashed line at a named y.
    """

    title: str
    x: str
    y: str
    series: Sequence[Series]
    line: bool = True
    log: bool = False
    percent: bool = False
    rule: tuple[str, float] | None = None


def svg(chart: Chart, alone: bool = False) -> str:
    """The chart as SVG; `alone` with its own style and namespace, as a file."""
    xs, ys = x_axis(chart), y_axis(chart)
    entries = len(chart.series) + bool(chart.rule)
    return template.render(
        "chart.svg.jinja",
        chart=chart,
        alone=alone,
        description=describe(chart),
        width=WIDTH,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=TOP + PLOT,
        height=TOP + PLOT + 48 + LINE * entries,
        x_ticks=[(xs(number), tick(number, chart.percent)) for number in xs.ticks],
        y_ticks=[(ys(number), tick(number)) for number in ys.ticks],
        series=[drawn(chart, one, xs, ys) for one in chart.series],
        rule=ys(chart.rule[1]) if chart.rule else None,
        legend=list(legend(chart)),
    )


def describe(chart: Chart) -> str:
    """The chart in words, for readers who do not see it."""
    parts = []
    for one in chart.series:
        first, last = one.points[0], one.points[-1]
        ends = f"{first.y:.3f} at {tick(first.x, chart.percent)}"
        ends += f" to {last.y:.3f} at {tick(last.x, chart.percent)}" if len(one.points) > 1 else ""
        parts.append(f"{one.name}: {ends}")
    return f"{chart.title}, {chart.y} against {chart.x}. " + "; ".join(parts) + "."


def x_axis(chart: Chart) -> scale.Scale:
    """Ticks at the sizes that were run where lines are drawn, at round numbers otherwise."""
    found = [point.x for one in chart.series for point in one.points]
    start, end = LEFT, WIDTH - RIGHT
    if chart.line or chart.log:
        return scale.measured(found, start + 14, end - 14, chart.log)
    return scale.rounded(found, start + 6, end - 12)


def y_axis(chart: Chart) -> scale.Scale:
    """An axis that covers every standard deviation and the rule."""
    points = [point for one in chart.series for point in one.points]
    found = [point.y + sign * (point.spread or 0.0) for point in points for sign in (-1, 1)]
    return scale.rounded([*found, *([chart.rule[1]] if chart.rule else [])], TOP + PLOT, TOP)


def tick(number: float, percent: bool = False) -> str:
    """A number as it is printed at an axis."""
    return f"{100 * number:.3g} %" if percent else f"{number:,.6g}"


def drawn(chart: Chart, one: Series, xs: scale.Scale, ys: scale.Scale) -> dict[str, Any]:
    """Colour, shape and pixels of one series."""
    places = [(xs(point.x), ys(point.y)) for point in one.points]
    joined = "M" + "L".join(f"{x} {y}" for x, y in places)
    return {
        "colour": one.number % COLOURS,
        "shape": SHAPES[one.number % len(SHAPES)],
        "line": joined if chart.line and len(places) > 1 else "",
        "spreads": [
            (xs(point.x), ys(point.y - point.spread), ys(point.y + point.spread))
            for point in one.points
            if point.spread
        ],
        "marks": [
            (x, y, f"{one.name}: {point.y:.3f} at {tick(point.x, chart.percent)}")
            for (x, y), point in zip(places, one.points, strict=True)
        ],
    }


def legend(chart: Chart) -> Iterator[dict[str, Any]]:
    """A line for each series below the plot, and one for the rule."""
    y = TOP + PLOT + 58
    for one in chart.series:
        shape, colour = SHAPES[one.number % len(SHAPES)], one.number % COLOURS
        yield {"y": y, "name": cut(one.name), "shape": shape, "colour": colour}
        y += LINE
    if chart.rule:
        yield {"y": y, "name": cut(f"{chart.rule[0]} {chart.rule[1]:.3f}"), "shape": ""}


def cut(name: str, longest: int = LONGEST) -> str:
    """A name up to `longest` half-width characters; Japanese characters are twice as wide."""
    width, kept = 0, ""
    for letter in name:
        width += 2 if unicodedata.east_asian_width(letter) in "WFA" else 1
        if width > longest:
            return f"{kept}…"
        kept += letter
    return kept
