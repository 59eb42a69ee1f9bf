"""Scores against the size, the diversity and the label correctness of training data, as charts."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from japagen.report.chart import Chart, Point, Series
from japagen.report.row import Row, fraction, row, size
from japagen.report.table import Column
from japagen.tracking import Recorded

# The metrics of a dataset's quality that are drawn, by their whole names: a part of a name would
# also match those of gold rows, of single labels, and distinct_1, which hardly varies.
QUALITY = ("quality/diversity", "quality/label_correctness")
WIDE = 8  # a largest x so many times the smallest needs a logarithmic axis


def scaling(
    columns: Sequence[Column], runs: Sequence[Recorded], labels: Mapping[Row, str]
) -> list[Chart]:
    """For each task the score against examples per label, then against the share of the data.

    Tasks in which neither varies have no chart.
    """
    by_size = [sized(column, runs, labels) for column in columns]
    by_share = [shared(column, runs, labels) for column in columns]
    return [chart for chart in (*by_size, *by_share) if chart.series]


def sized(column: Column, runs: Sequence[Recorded], labels: Mapping[Row, str]) -> Chart:
    """The score against the number of examples per label."""
    own = [run for run in runs if run.task == column.task]
    places = [(run, at) for run in own if (at := size(run)) is not None]
    return lines(column, places, labels, "training examples per label", percent=False)


def shared(column: Column, runs: Sequence[Recorded], labels: Mapping[Row, str]) -> Chart:
    """The score against the share of the data, for runs that name no number of examples."""
    own = [run for run in runs if run.task == column.task and size(run) is None]
    places = [(run, fraction(run)) for run in own]
    return lines(column, places, labels, "share of the training data", percent=True)


def lines(
    column: Column,
    places: Sequence[tuple[Recorded, float]],
    labels: Mapping[Row, str],
    x: str,
    percent: bool,
) -> Chart:
    """The mean score at each x, a line for each method that has several x."""
    groups: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run, at in places:
        groups[series_name(labels[row(run)])][at].append(run.metrics["score"])
    numbers = series_numbers(labels)
    found = [
        Series(name, numbers[name], points(groups[name]))
        for name in numbers
        if len(groups.get(name, {})) > 1
    ]
    rule = ("majority", column.majority) if column.majority is not None else None
    return Chart(column.task, x, column.metric, found, log=wide(found), percent=percent, rule=rule)


def wide(found: Sequence[Series]) -> bool:
    """Whether the x of the points differ so much that they need a logarithmic axis."""
    xs = [point.x for one in found for point in one.points]
    return bool(xs) and min(xs) > 0 and max(xs) >= WIDE * min(xs)


def series_name(label: str) -> str:
    """A row's name without the size in it, as in `few gold 10`, so that its sizes form one line."""
    return re.sub(r"^((?:few|mixed)[^·→]*?) \d+(?= |$)", r"\1", label)


def series_numbers(labels: Mapping[Row, str]) -> dict[str, int]:
    """The number of every line, which decides its colour and shape in all charts."""
    names = dict.fromkeys(map(series_name, labels.values()))
    return {name: number for number, name in enumerate(names)}


def points(groups: Mapping[float, Sequence[float]]) -> list[Point]:
    """Mean and standard deviation at each x, from left to right."""
    return [
        Point(x, statistics.fmean(ys), statistics.stdev(ys) if len(ys) > 1 else None)
        for x, ys in sorted(groups.items())
    ]


def quality(
    columns: Sequence[Column], every: Sequence[Recorded], labels: Mapping[Row, str]
) -> list[Chart]:
    """For each task the score of each student against the diversity of its dataset, then against
    the correctness of its labels. Tasks with fewer than two such students have no chart."""
    measured: dict[str, Mapping[str, float]] = {}
    for run in every:
        mark, names = run.tags.get("fingerprint"), set(run.metrics)
        if mark and run.status == "FINISHED" and names.intersection(QUALITY):
            measured[mark] = run.metrics
    charts = [cloud(column, measured, labels, key) for key in QUALITY for column in columns]
    return [chart for chart in charts if sum(len(one.points) for one in chart.series) > 1]


def cloud(
    column: Column,
    measured: Mapping[str, Mapping[str, float]],
    labels: Mapping[Row, str],
    key: str,
) -> Chart:
    """The score of each student of a task against the metric `key` of its dataset."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for label, cell in column.cells.items():
        for run in cell.runs:
            at = measured.get(run.tags.get("fingerprint", ""), {}).get(key)
            if at is not None:
                groups[series_name(labels[label])].append(Point(at, run.metrics["score"]))
    found = [
        Series(name, number, sorted(groups[name], key=lambda point: point.x))
        for name, number in series_numbers(labels).items()
        if name in groups
    ]
    x = key.removeprefix("quality/").replace("_", " ")
    return Chart(column.task, x, column.metric, found, line=False)
