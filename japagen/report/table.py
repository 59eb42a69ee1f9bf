"""Scored runs -> the columns and cells of the report's table, with p-values."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from japagen.report import significance
from japagen.report.row import Row, largest, names, row, size, value
from japagen.tracking import Recorded

PREDICTIONS = "predictions.jsonl"  # the artifact that the tests read
LEVEL = 0.05  # p-values below it are marked


@dataclass
class Cell:
    """The runs of one row and task, one a seed.

    `p` compares the cell with the column's reference, `p_majority` with the majority class.
    """

    runs: list[Recorded]
    p: float | None = None
    p_majority: float | None = None

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
    """A task with its cells; `others` are the runs of sizes that the table does not show.

    `majority` is the score of always predicting the most frequent gold label, None for regression.
    """

    task: str
    metric: str
    cells: dict[Row, Cell]
    majority: float | None = None
    best: Row | None = None
    reference: Row | None = None
    others: list[Recorded] = field(default_factory=list)

    def doubtful(self, cell: Cell) -> bool:
        """Whether the cell is not above the majority class, or not significantly."""
        below = self.majority is not None and cell.mean <= self.majority
        return below or (cell.p_majority is not None and cell.p_majority >= LEVEL)


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
        compare(one, chosen=not reference)
    return made


def column(task: str, runs: Sequence[Recorded]) -> Column:
    """The cells of a task: in each row the runs of the largest size, the rest in `others`."""
    cells: dict[Row, list[Recorded]] = defaultdict(list)
    for run in runs:
        cells[row(run)].append(run)
    made = {key: Cell(largest(found)) for key, found in cells.items()}
    others = [run for key, found in cells.items() for run in found if run not in made[key].runs]
    metrics = [run.params["task.metric"] for run in runs if "task.metric" in run.params]
    metric = (metrics or ["score"])[0]
    majority = majority_score(metric, runs)
    best: Row | None = max(made, key=lambda key: made[key].mean)
    if majority is not None and best is not None and made[best].mean <= majority:
        best = None
    return Column(task, metric, made, majority, best, None, others)


def majority_score(metric: str, runs: Sequence[Recorded]) -> float | None:
    """The score of always predicting the most frequent gold label, if the runs say so."""
    if metric == "mcc":
        return 0.0
    shares = [run.metrics[key] for run in runs if (key := f"majority/{metric}") in run.metrics]
    return shares[-1] if shares else None


def compare(column: Column, chosen: bool) -> None:
    """Set the p-values of all cells, corrected by Holm's method over all of the column.

    `chosen`: the reference is the best row, so that all pairs count as compared.
    """
    rows = {key: [predictions(run) for run in cell.runs] for key, cell in column.cells.items()}
    drawn = {
        key: significance.resampled(column.metric, found, datasets(column.cells[key]))
        for key, found in rows.items()
        if len(found) >= significance.SEEDS or deterministic(column.cells[key])
    }
    usual = {
        one.ids: significance.majority(column.metric, rows[key][0])
        for key, one in drawn.items()
        if one is not None
    }
    for one in usual.values():
        if column.majority is None and one is not None:
            column.majority = one.seeds[0]
    against = drawn.get(column.reference) if column.reference else None
    tested: list[tuple[Cell, bool, float]] = []
    for key, one in drawn.items():
        cell = column.cells[key]
        if one and (p := significance.p_value(one, usual[one.ids])) is not None:
            tested.append((cell, True, p))
        if column.reference in (None, key) or not comparable(cell, column.cells[column.reference]):
            continue
        if (p := significance.p_value(one, against)) is not None:
            tested.append((cell, False, p))
    pairs = len(drawn) * (len(drawn) - 1) // 2 if chosen else 0
    number = pairs + sum(one for _, one, _ in tested)
    corrected = significance.holm([p for _, _, p in tested], number)
    for (cell, is_majority, _), p in zip(tested, corrected, strict=True):
        if is_majority:
            cell.p_majority = p
        else:
            cell.p = p
    if column.best is not None and column.doubtful(column.cells[column.best]):
        column.best = None


def datasets(cell: Cell) -> list[str]:
    """The synthetic dataset of each run; runs without one have each their own name."""
    return [run.tags.get("fingerprint") or run.id for run in cell.runs]


def deterministic(cell: Cell) -> bool:
    """Whether no seed changes the score: the LLM prompted without examples."""
    return all(
        value(run, "subject") == "encoder"
        or (value(run, "subject") == "prompting" and value(run, "shots") == "0")
        for run in cell.runs
    )


def comparable(one: Cell, two: Cell) -> bool:
    """Whether two cells have datasets of the same size, or one of them has no synthetic data."""
    sizes = {size(run) for run in (*one.runs, *two.runs) if "gold" not in value(run, "data")}
    return len(sizes - {None}) <= 1


def predictions(run: Recorded) -> significance.Rows:
    """(gold, predicted) of each gold row by its id; {} if the file is missing or damaged."""
    try:
        lines = (run.read(PREDICTIONS) or "").split("\n")
        rows = [json.loads(line) for line in lines if line.strip()]
        return {
            str(row["id"]): (
                str(row["gold"]),
                significance.UNREAD if row["predicted"] is None else str(row["predicted"]),
            )
            for row in rows
        }
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
