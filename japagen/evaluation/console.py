"""What the console shows at the end of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from japagen.config.schema import EvaluateConfig
from japagen.evaluation.score import Found
from japagen.job.console import plain_console, shown


def show(config: EvaluateConfig, found: Found, name: str, where: str) -> None:
    """The end of the job: the numbers, how often each label is said, and where all of it is."""
    from rich.table import Table

    who = (
        f"{config.llm.name} prompted, {config.shots}-shot"
        if config.subject == "prompting"
        else f"student {found.tags['student']}"
    )
    table, measured = (
        Table("", "", title=f"{config.task.name}, {who}", show_header=False),
        found.metrics,
    )
    table.add_row(f"{name} rows", str(len(found.rows)))
    for key in sorted(measured):
        if key.startswith((name, "majority", "speed")):
            table.add_row(
                key,
                f"{measured[key]:.4f}",
                style="bold" if key.endswith(f"/{config.task.metric}") else "",
            )
    for label in config.task.labels:
        table.add_row(
            f"says {label}",
            f"{100 * measured[f'predicted/{label}']:.0f} % (gold {100 * measured[f'gold/{label}']:.0f} %)",
        )
    for key in ("cost/seconds_per_1000", "cost/dollars_per_1000"):
        if key in measured:
            table.add_row(key, f"{measured[key]:.2f}")
    end(table, found.lines, where)


def end(table: Any, lines: Sequence[str], where: str) -> None:
    """Print the last table, lines, and where the run is."""
    console = plain_console(soft_wrap=True)
    console.print(table)
    for line in [*lines, *([f"run: {where}"] if where else [])]:
        console.print(shown(line))
