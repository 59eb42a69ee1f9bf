"""The last console lines of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from japagen.config.task import Task
from japagen.evaluation.score import Result
from japagen.job.console import plain_console, shown


def show(task: Task, result: Result, name: str, where: str) -> None:
    """Print the metrics, how often each label is predicted, and where the files are."""
    from rich.table import Table

    table, measured = Table("", "", title=result.title, show_header=False), result.metrics
    table.add_row(f"{name} rows", str(len(result.rows)))
    for key in sorted(measured):
        if key.startswith((name, "majority")):
            style = "bold" if key.endswith(f"/{task.metric}") else ""
            table.add_row(key, f"{measured[key]:.4f}", style=style)
    for label in task.labels:
        predicted, gold = (100 * measured[f"{kind}/{label}"] for kind in ("predicted", "gold"))
        table.add_row(f"says {label}", f"{predicted:.0f} % (gold {gold:.0f} %)")
    for key in ("cost/seconds_per_1000", "cost/dollars_per_1000"):
        if key in measured:
            table.add_row(key, f"{measured[key]:.2f}")
    end(table, result.lines, where)


def end(table: Any, lines: Sequence[str], where: str) -> None:
    """Print the table, the lines, and where the run is recorded."""
    console = plain_console(soft_wrap=True)
    console.print(table)
    for line in [*lines, *([f"run: {where}"] if where else [])]:
        console.print(shown(line))
