"""Scored runs -> the columns and cells of the report's table, with p-values."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from japagen.report import significance
from japagen.report.row import Row, largest, names, row, seed
from japagen.tracking import Recorded

PREDICTIONS = "predictions.jsonl"  # the artifact that the bootstrap reads


@dataclass
class Cell:
    """The runs of one row and task, one a seed.

    `p` compares the cell with the column's reference by the test `how`: bootstrap or t-test.
    """

    runs: list[Recorded]
    p: float | None = None
    how: str = ""

    @property
    def scores(self) -> list[float]:
        """The score of each run."""
        return [run.metrics["score"] for run in self.runs]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over the seeds; None for a single one."""
        return statistics.stdev(self.scores) if len(self.runs) > 1 else None


@dataclass
class Column:
    """A task with its cells; `others` are the runs of sizes that the table does not show."""

    task: str
    metric: str
    cells: dict[Row, Cell]
    majority: float | None = None
    best: Row | None = None
    reference: Row | None = None
    others: list[Recorded] = field(default_factory=list)


def columns(runs: Sequence[Recorded], reference: str = "") -> list[Column]:
    """A column for each task of the scored `runs`, with its best row and the p-values."""
    tasks: dict[str, list[Recorded]] = defaultdict(list)
    for run in runs:
        tasks[run.task].append(run)
    made = [column(task, found) for task, found in sorted(tasks.items())]
    label = names(runs)
    for one in made:
        named = (row for row in one.cells if label[row] == reference)
        one.reference = next(named, None) if reference else one.best
        compare(one)
    return made


def column(task: str, runs: Sequence[Recorded]) -> Column:
    """The cells of a task: in each row the runs of the largest size, the rest in `others`."""
    cells: dict[Row, list[Recorded]] = defaultdict(list)
    for run in runs:
        cells[row(run)].append(run)
    made = {key: Cell(largest(found)) for key, found in cells.items()}
    others = [run for key, found in cells.items() for run in found if run not in made[key].runs]
    metrics = [run.params["task.metric"] for run in runs if "task.metric" in run.params]
    metric, key = (metrics or ["score"])[0], "majority/accuracy"
    shares = [run.metrics[key] for run in runs if key in run.metrics]
    majority = shares[-1] if shares and metric == "accuracy" else None
    best = max(made, key=lambda key: made[key].mean)
    return Column(task, metric, made, majority, best, None, others)


def compare(column: Column) -> None:
    """Set the p-values of all cells against the reference, corrected by Holm's method."""
    if column.reference is None or len(column.cells) < 2:
        return
    drawn = {
        key: significance.resampled(column.metric, [predictions(run) for run in cell.runs])
        for key, cell in column.cells.items()
    }
    other = column.cells[column.reference]
    tested = []
    for key, cell in column.cells.items():
        if key == column.reference:
            continue
        cell.p, cell.how = significance.bootstrap(drawn[key], drawn[column.reference]), "bootstrap"
        if cell.p is None:
            cell.p, cell.how = significance.t_test(by_seed(cell), by_seed(other)), "t-test"
        tested += [cell] if cell.p is not None else []
    for cell, p in zip(tested, significance.holm([cell.p or 0.0 for cell in tested]), strict=True):
        cell.p = p


def by_seed(cell: Cell) -> dict[str, float]:
    """The score of each seed."""
    return {seed(run): run.metrics["score"] for run in cell.runs}


def predictions(run: Recorded) -> dict[str, tuple[str, str]]:
    """(gold, predicted) of each gold row by its id; {} if the file is missing or damaged."""
    try:
        lines = (run.read(PREDICTIONS) or "").split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        return {str(row["id"]): (str(row["gold"]), str(row["predicted"])) for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
