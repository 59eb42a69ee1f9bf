"""The content of a report: table, charts, costs, counts and footnotes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from japagen.config.error import UserError, did_you_mean
from japagen.report import cost, curve, headline, row, significance, speed, table
from japagen.report.chart import Chart
from japagen.report.cost import Cost
from japagen.report.headline import Headline
from japagen.report.row import Row
from japagen.report.table import Column
from japagen.tracking import Recorded

LONG = 12 * 3600  # seconds after which a run that still is RUNNING was most likely killed
LOST = f"running > {LONG // 3600} h"
WHOLE = ["finished", "failed", "killed", "running", LOST]  # each run is in one of these
PARTS = ["not on gold", "not a number", "repeated"]  # parts of the finished ones
STATES = [*WHOLE, *PARTS]
BAD = ["failed", LOST, "not a number"]
COMMANDS = """  python generate.py task=jnli
  python train.py task=jnli
  python -m japagen.report"""


@dataclass
class Summary:
    """The content of the page and of the Markdown.

    `runs` are those of the table and the curves, `counts` of all runs by task and state.
    """

    columns: list[Column]
    headlines: list[Headline]
    labels: dict[Row, str]
    costs: list[Cost]
    cost_labels: dict[Row, str]
    scaling: list[Chart]
    quality: list[Chart]
    speed: list[Chart]
    runs: list[Recorded]
    counts: dict[str, Counter[str]]
    failed: list[Recorded]
    reference: str
    at: float


def summarise(
    every: Sequence[Recorded],
    tasks: Sequence[str] = (),
    reference: str = "",
    at: float | None = None,
) -> Summary:
    """The report on the runs of `tasks`, by default of all.

    `reference`: the row that all are tested against, by default the best of each task; `at`: the
    time of the report in seconds since 1970. UserError if there is nothing to report.
    """
    raw, now = chosen(every, tasks), time.time() if at is None else at
    used = row.with_differing_options(row.finite(run) for run in raw)
    runs = row.scored(used)
    if not runs:
        raise UserError(
            f"There is nothing to report: {tally(used)}. "
            f"Scores come from finished trainings on gold data; type\n{COMMANDS}"
        )
    labels = row.names(runs)
    check_reference(reference, list(labels.values()))
    columns = table.columns(runs, reference)
    shown = {column.task for column in columns}
    costs = cost.costs([run for run in used if run.task in shown])
    names = sorted({run.task for run in raw})
    failed = [run for run in used if run.status == "FAILED"]
    return Summary(
        columns=columns,
        headlines=headline.headlines(columns, labels),
        labels=labels,
        costs=costs,
        cost_labels={**row.names(run for run in used if row.in_table(run)), **labels},
        scaling=curve.scaling(columns, runs, labels),
        quality=curve.quality(columns, used, labels),
        speed=speed.speed(used),
        runs=runs,
        counts={name: count([run for run in raw if run.task == name], runs, now) for name in names},
        failed=sorted(failed, key=lambda run: -run.began),
        reference=reference,
        at=now,
    )


def check_reference(reference: str, known: Sequence[str]) -> None:
    """UserError if `reference` is given and is none of the `known` rows."""
    if reference and reference not in known:
        raise UserError(
            f"--reference {reference}: there is no such row. "
            f"Rows: {', '.join(known)}{did_you_mean(reference, known)}"
        )


def chosen(every: Sequence[Recorded], tasks: Sequence[str]) -> list[Recorded]:
    """The runs of `tasks`, of all if none is named, without those of sweeps."""
    known = sorted({run.task for run in every})
    for task in tasks:
        if task not in known:
            raise UserError(
                f"--task {task}: there are no runs of it. "
                f"Tasks with runs: {', '.join(known) or 'none'}{did_you_mean(task, known)}"
            )
    return [
        run
        for run in every
        if run.tags.get("stage") != "sweep" and (not tasks or run.task in tasks)
    ]


def tally(runs: Sequence[Recorded]) -> str:
    """How many runs there are, and that none has a score."""
    if not runs:
        return "the store has no run"
    states = Counter(run.status.lower() for run in runs)
    shown = ", ".join(f"{number} {state}" for state, number in states.items())
    return f"of {len(runs)} runs ({shown}) no finished one has a score on gold data"


def count(runs: Sequence[Recorded], shown: Sequence[Recorded], now: float) -> Counter[str]:
    """How many runs are in which of STATES."""
    states: Counter[str] = Counter(run.status.lower() for run in runs)
    states[LOST] = sum(run.status == "RUNNING" and now - run.began > LONG for run in runs)
    states["running"] -= states[LOST]
    ids = {run.id for run in shown}
    ended = [run for run in runs if run.status == "FINISHED" and row.in_table(run)]
    scores = [(run.metrics.get("score"), run.id in ids) for run in ended]
    states["not on gold"] = sum(score is None for score, _ in scores)
    usable = [row.usable(score) for score, _ in scores if score is not None]
    states["not a number"] = usable.count(False)
    states["repeated"] = usable.count(True) - sum(found for _, found in scores)
    return states


def models(labels: dict[Row, str]) -> str:
    """The LLM and the student, if there is only one, so that the rows' names leave it out."""
    parts = []
    for kind in ("llm", "student"):
        found = sorted({getattr(row, kind) for row in labels} - {""})
        if len(found) == 1:
            parts.append(f"{'LLM' if kind == 'llm' else kind}: {found[0]}")
    return "; ".join(parts)


def footnotes(summary: Summary) -> list[str]:
    """What the numbers of the main table mean."""
    cells = [cell for column in summary.columns for cell in column.cells.values()]
    against = f"“{summary.reference}”" if summary.reference else "the best method of the task"
    notes = [
        "Mean ± sample standard deviation over n seeds, on all gold test rows; "
        "the best method of each task in bold, if it is above the majority class.",
    ]
    if any(cell.p is not None for cell in cells):
        notes.append(
            f"p: two-sided test against {against}, over gold rows (paired bootstrap, "
            f"{significance.RESAMPLES:,} resamples) and over seeds. None for fewer than "
            f"{significance.SEEDS} seeds, and between synthetic datasets of different sizes. "
            "Corrected for the number of comparisons in its column by Holm's method; † marks "
            f"p < {table.LEVEL}."
        )
    if any(column.doubtful(cell) for column in summary.columns for cell in column.cells.values()):
        notes.append("°: not above the majority class, or not significantly by the same test.")
    if any(column.others for column in summary.columns):
        notes.append(
            "Where a method was run with several amounts of training data, the table has the "
            "largest; the curves have all."
        )
    if any(column.majority is not None for column in summary.columns):
        notes.append("Majority: the score of always predicting the most frequent gold label.")
    return notes
