"""Score against speed: the backends of saved students beside the prompted LLM, as charts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from japagen.report.chart import Chart, Point, Series
from japagen.tracking import Recorded

BACKEND = re.compile(r"speed/(\w+)/batched")  # the metrics of evaluate.py subject=student
PROMPTED = "prompted"


def speed(every: Sequence[Recorded]) -> list[Chart]:
    """For each task the score against rows per second in batches, a mark for each backend.

    Of several measurements of one student the newest counts. Tasks with fewer than two marks have
    no chart.
    """
    newest: dict[tuple[str, str], Recorded] = {}
    for run in sorted(every, key=lambda run: run.began):
        measured = any(map(BACKEND.fullmatch, run.metrics))
        if run.status == "FINISHED" and measured and "score" in run.metrics:  # on all gold rows
            newest[run.task, run.tags.get("folder", "")] = run
    groups: dict[str, list[Recorded]] = defaultdict(list)
    for (task, _), run in newest.items():
        groups[task].append(run)
    charts = [chart(task, groups[task]) for task in sorted(groups)]
    return [one for one in charts if sum(len(series.points) for series in one.series) > 1]


def chart(task: str, runs: Sequence[Recorded]) -> Chart:
    """The chart of one task."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for run in runs:
        for key, at in run.metrics.items():
            if found := BACKEND.fullmatch(key):
                name = found.group(1)
                score = run.metrics.get(f"speed/{name}/score")
                if score is not None:
                    groups[name].append(Point(at, score))
    # The LLM last, so that a backend has the same colour in every chart.
    names = sorted(groups, key=lambda name: (name == PROMPTED, name))
    series = [
        Series(
            "LLM prompted" if name == PROMPTED else name,
            number,
            sorted(groups[name], key=lambda point: point.x),
        )
        for number, name in enumerate(names)
    ]
    metric = runs[-1].params.get("task.metric", "score")
    return Chart(task, "rows per second, in batches", metric, series, line=False, log=True)
