"""All that a report says, taken from the runs: table, charts, costs, counts and footnotes."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from japagen.config.error import UserError, did_you_mean
from japagen.config.secret import hidden
from japagen.report import cost, curve, result, significance
from japagen.report.chart import Chart
from japagen.report.cost import Cost
from japagen.report.result import Cell, Column, Row
from japagen.tracking import Recorded

LONG = 12 * 3600  # seconds after which a run that still says RUNNING has most likely been killed
STATES = (
    "finished",
    "failed",
    "killed",
    "running",
    f"running > {LONG // 3600} h",
    "not on gold",
    "repeated",
)


@dataclass
class Summary:
    """What the page and the Markdown show. `runs` are those of the table and the curves, `counts` of all runs by task and state."""

    columns: list[Column]
    labels: dict[Row, str]
    costs: list[Cost]
    cost_labels: dict[Row, str]
    scaling: list[Chart]
    quality: list[Chart]
    runs: list[Recorded]
    counts: dict[str, Counter[str]]
    failed: list[Recorded]
    reference: str
    at: float


COMMANDS = """  python generate.py task=jnli
  python train.py task=jnli
  python -m japagen.report"""


def summarise(
    every: Sequence[Recorded],
    tasks: Sequence[str] = (),
    reference: str = "",
    at: float | None = None,
) -> Summary:
    """The report on the runs of `tasks`, of all where none is named; UserError says what to type where there is nothing to report."""
    known = sorted({run.task for run in every})
    for task in tasks:
        if task not in known:
            raise UserError(
                f"--task {task}: there are no runs of it. Tasks with runs: {', '.join(known) or 'none'}{did_you_mean(task, known)}"
            )
    used = [
        run
        for run in every
        if run.tags.get("stage") != "sweep" and (not tasks or run.task in tasks)
    ]
    runs, now = result.scored(used), time.time() if at is None else at
    if not runs:
        raise UserError(
            f"There is nothing to report: {tally(used)}. Scores come from finished trainings on gold data; type\n{COMMANDS}"
        )
    labels = result.names(runs)
    if reference and reference not in labels.values():
        known = list(labels.values())
        raise UserError(
            f"--reference {reference}: no such row. Rows: {', '.join(known)}{did_you_mean(reference, known)}"
        )
    columns = result.columns(runs, reference)
    costs = cost.costs(used)
    failed = sorted((run for run in used if run.status == "FAILED"), key=lambda run: -run.began)
    return Summary(
        columns=columns,
        labels=labels,
        costs=costs,
        cost_labels={**result.names(run for run in used if result.in_table(run)), **labels},
        scaling=curve.scaling(columns, runs, labels),
        quality=curve.quality(columns, used, labels),
        runs=runs,
        counts={
            task: count([run for run in used if run.task == task], runs, now)
            for task in sorted({run.task for run in used})
        },
        failed=failed,
        reference=reference,
        at=now,
    )


def tally(runs: Sequence[Recorded]) -> str:
    """How many runs there are, and that none has a score."""
    if not runs:
        return "the store has no run"
    states = ", ".join(
        f"{number} {state}" for state, number in Counter(run.status.lower() for run in runs).items()
    )
    return f"of {len(runs)} runs ({states}) no finished one has a score on gold data"


def count(runs: Sequence[Recorded], shown: Sequence[Recorded], now: float) -> Counter[str]:
    """How many runs are in which of STATES; `not on gold` and `repeated` are among the finished."""
    states: Counter[str] = Counter(run.status.lower() for run in runs)
    states[STATES[4]] = sum(run.status == "RUNNING" and now - run.began > LONG for run in runs)
    states["running"] -= states[STATES[4]]
    ids = {run.id for run in shown}
    ended = [run for run in runs if run.status == "FINISHED" and result.in_table(run)]
    states["not on gold"] = sum("score" not in run.metrics for run in ended)
    states["repeated"] = sum("score" in run.metrics and run.id not in ids for run in ended)
    return states


def models(labels: dict[Row, str]) -> str:
    """The LLM and the student, where the rows' names do not tell because there is but one."""
    parts = []
    for kind in ("llm", "student"):
        found = sorted({getattr(row, kind) for row in labels} - {""})
        if len(found) == 1:
            parts.append(f"{'LLM' if kind == 'llm' else kind}: {found[0]}")
    return "; ".join(parts)


def footnotes(summary: Summary) -> list[str]:
    """What the numbers of the main table mean, one sentence or two each."""
    cells = [cell for column in summary.columns for cell in column.cells.values()]
    ways = {cell.how for cell in cells if cell.p is not None}
    against = f"“{summary.reference}”" if summary.reference else "the best method of the task"
    notes = [
        "Mean ± sample standard deviation over n seeds, on all gold test rows; the best of each task in bold."
    ]
    if "bootstrap" in ways:
        notes.append(
            f"p: two-sided paired bootstrap over the gold rows ({significance.RESAMPLES:,} drawings, "
            f"scores averaged over seeds) against {against}."
        )
    if "t-test" in ways:
        notes.append(
            f"p(t): paired t-test over common seeds against {against}, where a run has no predictions.jsonl for the bootstrap."
        )
    if ways:
        notes.append(
            "All p are corrected for the number of comparisons in their column by Holm's method; † marks p < 0.05."
        )
    if any(column.others for column in summary.columns):
        notes.append(
            "Where a method was run with several amounts of training data, the table has the largest; the curves have all."
        )
    if any(column.majority is not None for column in summary.columns):
        notes.append("Majority: the accuracy of always giving the most frequent gold label.")
    return notes


def p_text(cell: Cell) -> str:
    """The p-value of a cell as it is printed, or ""."""
    if cell.p is None:
        return ""
    name = "p(t)" if cell.how == "t-test" else "p"
    return (f"{name} < 0.001" if cell.p < 0.001 else f"{name} = {cell.p:.3f}") + (
        " †" if cell.p < 0.05 else ""
    )


def amount(number: float | None, unit: str = "") -> str:
    """Seconds, dollars or a number of predictions to three digits; "never" for inf, a dash for None."""
    if number is None:
        return "—"
    if math.isinf(number):
        return "never"
    digits = f"{number:,.0f}" if number >= 100 or number == 0 else f"{number:.3g}"
    return f"${digits}" if unit == "$" else digits + (f" {unit}" if unit else "")


def score_text(cell: Cell) -> tuple[str, str]:
    """The mean and, after it, the standard deviation of a cell, as printed."""
    return f"{cell.mean:.3f}", "" if cell.spread is None else f"± {cell.spread:.3f}"


def size_text(run: Recorded) -> str:
    """How much a run's student was trained on, as far as the run tells."""
    size, share = result.size(run), result.fraction(run)
    if size is not None:
        return f"{size:g} a label"
    return f"{100 * share:g} %" if share != 1 else "all" if result.row(run).student else "—"


def page_of(uri: str, run: Recorded) -> str:
    """Where the run is seen: on the server `uri`, or on the one that `mlflow ui` starts."""
    server = hidden(uri.rstrip("/")) if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{run.experiment}/runs/{run.id}"


def date(seconds: float) -> str:
    """A moment as it is printed, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
