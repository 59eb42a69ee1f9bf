"""Series of points -> an SVG that is text, reads in light and dark, and stands on a page or alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

LIGHT = ("#0b5cad", "#b45309", "#0f766e", "#7c3aed", "#be185d", "#475569", "#3f7d20", "#9f1239")
DARK = ("#7ab8ff", "#ffb066", "#4fd1c0", "#c4a7ff", "#ff8fc0", "#b6c2d1", "#a3d977", "#ff9aa2")
FONTS = "system-ui, 'Noto Sans JP', 'Noto Sans CJK JP', 'Hiragino Sans', 'Yu Gothic', Meiryo, IPAexGothic, sans-serif"
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
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Point:
    """A place with the standard deviation of its y, where there is one."""

    x: float
    y: float
    spread: float | None = None


@dataclass(frozen=True)
class Series:
    """Points of one name; `number` chooses colour and shape, the same in all charts of a report."""

    name: str
    number: int
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """What an SVG shows. `line` joins a series' points, `log` is of the x axis, `rule` a dashed line at a named y."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    line: bool = True
    log: bool = False
    percent: bool = False
    rule: tuple[str, float] | None = None


def style() -> str:
    """The rules that all charts need, for a page or for a lone SVG."""

    def colours(names: Sequence[str]) -> str:
        return "".join(f".chart .s{i}{{--c:{name}}}" for i, name in enumerate(names))

    return f"""
.chart{{font-family:{FONTS};font-size:12.5px;--ink:#1c2430;--soft:#556070;--grid:#e3e7ec;--paper:#fff}}
.chart text{{fill:var(--soft)}} .chart .strong{{fill:var(--ink);font-weight:600;font-size:14px}} .chart .name{{fill:var(--ink)}}
.chart .grid{{stroke:var(--grid);stroke-width:1}} .chart .axis{{stroke:var(--soft);stroke-width:1}}
.chart .rule{{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 4}}
.chart .line{{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}}
.chart .spread{{stroke:var(--c);stroke-width:1.2;opacity:.65}}
.chart .mark{{fill:var(--c);stroke:var(--paper);stroke-width:1.2}}
{colours(LIGHT)}
@media (prefers-color-scheme:dark){{
.chart{{--ink:#e8ecf2;--soft:#a4afbd;--grid:#2c3644;--paper:#171e28}}
{colours(DARK)}
}}"""


def svg(chart: Chart, alone: bool = False) -> str:
    """The chart; `alone` with its own style and namespace, as a file."""
    xs, ys = scale_x(chart), scale_y(chart)
    names = [*legend(chart)]
    height = TOP + PLOT + 48 + 19 * len(names)
    told = escape(describe(chart))
    head = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    rules = (
        f"<style>{style()}\n.back{{fill:var(--paper)}}</style><rect class='back' width='100%' height='100%'/>"
        if alone
        else ""
    )
    drawn = [
        *axes(chart, xs, ys),
        *(line for one in chart.series for line in draw(chart, one, xs, ys)),
        *names,
    ]
    return (
        f'<svg{head} class="chart" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{told}">'
        f"<title>{escape(chart.title)}: {escape(chart.y)} against {escape(chart.x)}</title><desc>{told}</desc>{rules}\n"
        + "\n".join(drawn)
        + "\n</svg>"
    )


def describe(chart: Chart) -> str:
    """The chart in words, for those who do not see it."""
    parts = []
    for one in chart.series:
        first, last = one.points[0], one.points[-1]
        ends = f"{first.y:.3f} at {tick(first.x, chart.percent)}"
        ends += f" to {last.y:.3f} at {tick(last.x, chart.percent)}" if len(one.points) > 1 else ""
        parts.append(f"{one.name}: {ends}")
    return f"{chart.title}, {chart.y} against {chart.x}. " + "; ".join(parts) + "."


class Scale:
    """Numbers to pixels along one axis, with the numbers to write at it."""

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        ticks: Sequence[float],
        log: bool = False,
    ) -> None:
        self.low, self.high, self.start, self.end, self.ticks, self.log = (
            low,
            high,
            start,
            end,
            ticks,
            log,
        )

    def __call__(self, number: float) -> float:
        """The pixel of `number`."""
        low, high, at = (
            math.log(one) if self.log else one for one in (self.low, self.high, number)
        )
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)


def scale_x(chart: Chart) -> Scale:
    """The x axis: ticks at the sizes that were run where lines are drawn, at round numbers otherwise."""
    found = sorted({point.x for one in chart.series for point in one.points})
    start, end = LEFT, WIDTH - RIGHT
    if not chart.line:
        low, high, ticks = rounded(found[0], found[-1])
        return Scale(low, high, start + 6, end - 12, ticks)
    low, high = (found[0], found[-1]) if len(found) > 1 else (found[0] * 0.5, found[0] * 1.5 or 1)
    scale = Scale(low, high, start + 14, end - 14, (), chart.log)
    kept: list[float] = []
    for number in found:
        if not kept or scale(number) - scale(kept[-1]) > 34:
            kept.append(number)
    scale.ticks = kept
    return scale


def scale_y(chart: Chart) -> Scale:
    """The y axis, wide enough for every spread and the rule."""
    points = [point for one in chart.series for point in one.points]
    found = [point.y + sign * (point.spread or 0.0) for point in points for sign in (-1, 1)] + (
        [chart.rule[1]] if chart.rule else []
    )
    low, high, ticks = rounded(min(found), max(found))
    return Scale(low, high, TOP + PLOT, TOP, ticks)


def rounded(low: float, high: float) -> tuple[float, float, list[float]]:
    """Round bounds around [low, high], and three to six round numbers from one to the other."""
    span = (high - low) or abs(high) * 0.1 or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * one for one in STEPS if power * one >= span / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = [round(step * one, 10) for one in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks


def tick(number: float, percent: bool = False) -> str:
    """A number as it stands at an axis."""
    return f"{100 * number:.3g} %" if percent else f"{number:,.6g}"


def axes(chart: Chart, xs: Scale, ys: Scale) -> Iterator[str]:
    """Title, grid, numbers and names of both axes, and the rule."""
    yield f'<text class="strong" x="{LEFT - 40}" y="15">{escape(chart.title)}</text>'
    yield f'<text x="{LEFT - 40}" y="{TOP - 12}">{escape(chart.y)}</text>'
    for number in ys.ticks:
        yield f'<path class="grid" d="M{LEFT} {ys(number)}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 7}" y="{ys(number) + 4:.1f}" text-anchor="end">{tick(number)}</text>'
    for number in xs.ticks:
        yield f'<path class="axis" d="M{xs(number)} {TOP + PLOT}v4"/>'
        yield f'<text x="{xs(number)}" y="{TOP + PLOT + 17}" text-anchor="middle">{tick(number, chart.percent)}</text>'
    yield f'<path class="axis" d="M{LEFT} {TOP + PLOT}H{WIDTH - RIGHT}"/>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{TOP + PLOT + 34}" text-anchor="middle">{escape(chart.x)}</text>'
    if chart.rule:
        yield f'<path class="rule" d="M{LEFT} {ys(chart.rule[1])}H{WIDTH - RIGHT}"/>'


def draw(chart: Chart, series: Series, xs: Scale, ys: Scale) -> Iterator[str]:
    """The line, the spreads and the marks of one series."""
    yield f'<g class="s{series.number % len(LIGHT)}">'
    if chart.line and len(series.points) > 1:
        yield (
            '<path class="line" d="M'
            + "L".join(f"{xs(point.x)} {ys(point.y)}" for point in series.points)
            + '"/>'
        )
    for point in series.points:
        if point.spread:
            yield f'<path class="spread" d="M{xs(point.x)} {ys(point.y - point.spread)}V{ys(point.y + point.spread)}"/>'
    for point in series.points:
        told = f"{series.name}: {point.y:.3f} at {tick(point.x, chart.percent)}"
        yield mark(series.number, xs(point.x), ys(point.y), told)
    yield "</g>"


def mark(number: int, x: float, y: float, told: str = "") -> str:
    """The shape of a series at a place, with what a pointer that rests on it shows."""
    title = f"<title>{escape(told)}</title>" if told else ""
    return f'<path class="mark" transform="translate({x} {y})" d="{SHAPES[number % len(SHAPES)]}">{title}</path>'


def legend(chart: Chart) -> Iterator[str]:
    """A line for each series below the plot, and one for the rule."""
    y = TOP + PLOT + 58
    for one in chart.series:
        yield (
            f'<g class="s{one.number % len(LIGHT)}">{mark(one.number, LEFT + 5, y - 4)}</g>'
            + entry(one.name, y)
        )
        y += 19
    if chart.rule:
        yield f'<path class="rule" d="M{LEFT - 4} {y - 4}h18"/>' + entry(
            f"{chart.rule[0]} {chart.rule[1]:.3f}", y
        )


def entry(name: str, y: float) -> str:
    """A name in the legend, cut where the chart ends."""
    wide = sum(2 if ord(letter) > 0x2E7F else 1 for letter in name)
    shown = name if wide <= 42 else name[: 41 * len(name) // wide] + "…"
    return f'<text class="name" x="{LEFT + 20}" y="{y}">{escape(shown)}</text>'
