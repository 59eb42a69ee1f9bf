"""The cost of 1,000 predictions by prompting and by a student, and the break-even."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from japagen.report.row import Row, in_table, largest, names, number, row
from japagen.tracking import Recorded

SECONDS, DOLLARS = "cost/seconds_per_1000", "cost/dollars_per_1000"


@dataclass
class Cost:
    """The cost of one row of a task. None stands for what no run says.

    `seconds` and `dollars` are of 1,000 predictions, `before_...` of what precedes the first:
    generation and training. `even_...` is the number of predictions from which on the student is
    cheaper than prompting by the row `against`.
    """

    task: str
    row: Row
    seconds: float | None
    dollars: float | None
    before_seconds: float | None = None
    before_dollars: float | None = None
    against: Row | None = None
    even_seconds: float | None = None
    even_dollars: float | None = None


def costs(runs: Sequence[Recorded]) -> list[Cost]:
    """The cost of every row that has one, task by task, prompting first."""
    finished = [run for run in runs if run.status == "FINISHED"]
    groups: dict[tuple[str, Row], list[Recorded]] = defaultdict(list)
    for run in finished:
        if in_table(run):
            groups[run.task, row(run)].append(run)
    order = list(names(run for group in groups.values() for run in group))
    made = []
    for task, one in sorted(groups, key=lambda key: (key[0], order.index(key[1]))):
        group = groups[task, one]
        # A score on a part of the test rows is none of the table.
        if any(SECONDS in run.metrics and "score" in run.metrics for run in group):
            cost = Cost(task, one, mean(group, SECONDS), mean(group, DOLLARS))
            made.append(spent(cost, group, finished) if one.student else cost)
    for cost in made:
        compare(
            cost, [other for other in made if other.task == cost.task and not other.row.student]
        )
    return made


def mean(runs: Sequence[Recorded], key: str) -> float | None:
    """The mean of a metric over the runs that have it, or None."""
    found = [run.metrics[key] for run in runs if key in run.metrics]
    return statistics.fmean(found) if found else None


def spent(cost: Cost, group: Sequence[Recorded], runs: Sequence[Recorded]) -> Cost:
    """`cost` with what its dataset and its training took, a mean over its trainings."""
    timed = [run for run in group if "train/seconds" in run.metrics]
    trainings = largest(timed) if timed else []
    seconds, dollars = [], []
    for run in trainings:
        mark = run.tags.get("fingerprint", "")
        made = [
            one
            for one in runs
            if one.tags.get("stage") == "generate" and mark and one.tags.get("fingerprint") == mark
        ]
        # A dataset that was extended has a run for each size; one that only read it says nothing.
        alike = [one for one in made if asked(one) == asked(run)] or made
        parts = [one for one in alike if "seconds" in one.metrics] or alike
        if mark and not any("seconds" in one.metrics for one in parts):
            continue
        seconds.append(run.metrics["train/seconds"] + generation_seconds(parts))
        dollars.append(max((one.metrics.get("cost", 0.0) for one in parts), default=0.0))
    if seconds:
        cost.before_seconds, cost.before_dollars = (
            statistics.fmean(seconds),
            statistics.fmean(dollars),
        )
    return cost


def asked(run: Recorded) -> float | None:
    """The rows of each label that a run asked for."""
    return number(run, "num_per_label")


def generation_seconds(runs: Sequence[Recorded]) -> float:
    """The seconds of all processes that made a dataset, from its runs.

    Earlier versions recorded only those of the process that finished it.
    """
    totals = [one.metrics["total_seconds"] for one in runs if "total_seconds" in one.metrics]
    return max(totals) if totals else sum(one.metrics.get("seconds", 0.0) for one in runs)


def compare(cost: Cost, prompting: Sequence[Cost]) -> None:
    """Set the break-even of a student against the fastest prompting by its own LLM, else by any."""
    own = [other for other in prompting if other.row.llm == cost.row.llm] or list(prompting)
    if not cost.row.student or not own:
        return
    other = min(own, key=lambda one: one.seconds or 0.0)
    cost.against = other.row
    cost.even_seconds = break_even(cost.before_seconds, other.seconds, cost.seconds)
    if other.dollars or cost.before_dollars:
        cost.even_dollars = break_even(cost.before_dollars, other.dollars, cost.dollars or 0.0)


def break_even(
    before: float | None, prompting: float | None, student: float | None
) -> float | None:
    """The number of predictions from which on a student is cheaper; inf: never; None: unknown.

    `prompting` and `student` are costs of 1,000 predictions.
    """
    if before is None or prompting is None or student is None:
        return None
    saved = (prompting - student) / 1000
    return float(math.ceil(before / saved)) if saved > 0 else math.inf
