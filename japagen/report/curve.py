"""Scores against the size, the diversity and the label correctness of what a student was trained on, as charts."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from japagen.report import result
from japagen.report.chart import Chart, Point, Series
from japagen.report.result import Column, Row
from japagen.tracking import Recorded

# What the names of metrics of a dataset's quality say; the first that is found in a store is drawn.
DIVERSITY = ("distinct", "divers", "entropy", "self_bleu", "vendi")
CORRECTNESS = ("correct", "label_accuracy", "agree", "label")


def scaling(
    columns: Sequence[Column], runs: Sequence[Recorded], labels: Mapping[Row, str]
) -> list[Chart]:
    """For each task, the score against the examples per label, and against the share of the data, where it was varied."""
    made, numbers = [], series_numbers(labels)
    for percent, x in (
        (False, "training examples of each label"),
        (True, "share of the training data"),
    ):
        for column in columns:
            groups: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
            for run in runs:
                size, share = result.size(run), result.fraction(run)
                at = size if not percent else share if size is None else None
                if run.task == column.task and at is not None:
                    groups[series_name(labels[result.row(run)])][at].append(run.metrics["score"])
            found = [
                Series(key, numbers[key], points(groups[key]))
                for key in numbers
                if len(groups.get(key, {})) > 1
            ]
            if found:
                rule = ("majority", column.majority) if column.majority is not None else None
                made.append(
                    Chart(
                        column.task,
                        x,
                        column.metric,
                        found,
                        log=wide(found),
                        percent=percent,
                        rule=rule,
                    )
                )
    return made


def wide(found: Sequence[Series]) -> bool:
    """Whether the x of some points are so many times those of others that they need a logarithmic axis."""
    xs = [point.x for one in found for point in one.points]
    return min(xs) > 0 and max(xs) >= 8 * min(xs)


def series_name(label: str) -> str:
    """A row's name without the size it may end with, as in `few gold 10`, so that its sizes form one line."""
    return re.sub(r"^((?:few|mixed)[^·→]*?) \d+(?= |$)", r"\1", label)


def series_numbers(labels: Mapping[Row, str]) -> dict[str, int]:
    """The number, and with it colour and shape, of every line."""
    return {
        name: number for number, name in enumerate(dict.fromkeys(map(series_name, labels.values())))
    }


def points(groups: Mapping[float, Sequence[float]]) -> list[Point]:
    """Mean and standard deviation at each x, from left to right."""
    return [
        Point(x, statistics.fmean(ys), statistics.stdev(ys) if len(ys) > 1 else None)
        for x, ys in sorted(groups.items())
    ]


def quality(
    columns: Sequence[Column], every: Sequence[Recorded], labels: Mapping[Row, str]
) -> list[Chart]:
    """For each task, the score of each student against the diversity and the label correctness of its dataset."""
    measured: dict[str, Mapping[str, float]] = {}
    for run in every:
        mark = run.tags.get("fingerprint")
        if (
            mark
            and run.status == "FINISHED"
            and any(key.startswith("quality/") for key in run.metrics)
        ):
            measured[mark] = run.metrics
    numbers, made = series_numbers(labels), []
    for words in (DIVERSITY, CORRECTNESS):
        key = chosen({key for metrics in measured.values() for key in metrics}, words)
        for column in columns if key else ():
            own = [
                run
                for cell in column.cells.values()
                for run in cell.runs
                if key in measured.get(run.tags.get("fingerprint", ""), {})
            ]
            groups = grouped(own, lambda run: series_name(labels[result.row(run)]))
            found = [
                Series(
                    name,
                    numbers[name],
                    sorted(
                        (place(run, measured, key) for run in groups[name]),
                        key=lambda point: point.x,
                    ),
                )
                for name in numbers
                if name in groups
            ]
            if sum(len(one.points) for one in found) > 1:
                made.append(
                    Chart(
                        column.task,
                        key.removeprefix("quality/").replace("_", " "),
                        column.metric,
                        found,
                        line=False,
                    )
                )
    return made


def grouped(runs: Sequence[Recorded], key: Callable[[Recorded], str]) -> dict[str, list[Recorded]]:
    """The runs by what `key` says of them."""
    made: dict[str, list[Recorded]] = defaultdict(list)
    for run in runs:
        made[key(run)].append(run)
    return made


def place(run: Recorded, measured: Mapping[str, Mapping[str, float]], key: str) -> Point:
    """A student's score at the quality of its dataset."""
    return Point(measured[run.tags["fingerprint"]][key], run.metrics["score"])


def chosen(keys: set[str], words: Sequence[str]) -> str:
    """The first metric of quality with one of `words` in its name, or ""."""
    return next(
        (
            key
            for word in words
            for key in sorted(keys)
            if key.startswith("quality/") and word in key
        ),
        "",
    )
