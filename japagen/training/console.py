"""What the console shows about a training."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.job.console import plain_console
from japagen.training.identity import Training

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from japagen.training.split import Parts


def announce(training: Training, parts: Parts) -> None:
    """Log what was read, and the rows of each label, before anything takes time."""
    task, data = training.task, training.data
    place = data.describe(training.dataset)
    log.info("task %s, student %s, trained on %s", task.name, training.student.name, place)
    held_out = f", held out of {data.name}"
    valid = ", the training rows themselves" if parts.valid == parts.train else held_out
    log_rows("train", parts.train, task, "")
    log_rows("valid", parts.valid, task, valid)
    log_rows("test", parts.test, task, held_out if parts.no_gold else "")


def log_rows(name: str, rows: Sequence[Example], task: Task, note: str) -> None:
    """Log the number of rows of one part, and of each label."""
    counts = Counter(row.label for row in rows)
    labels = ", ".join(f"{label} {counts[label]}" for label in task.labels)
    of_labels = f" ({labels})" if task.kind == "classification" else ""
    log.info("%s: %d rows%s%s", name, len(rows), note, of_labels)


def show(
    training: Training,
    parts: Parts,
    measured: Mapping[str, float],
    prefix: str,
    folder: Path,
    where: str,
) -> None:
    """Print the end of a job: scores, what they are measured on, the student's folder, the run.

    `prefix`: of the test metrics; `where`: how to open the run, or "".
    """
    from rich.table import Table
    from rich.text import Text

    task = training.task
    title = f"{task.name}, {training.student.name} on {training.data.name}"
    table = Table("", "", title=Text(title), show_header=False)
    for name, rows in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)):
        table.add_row(f"{name} rows", str(len(rows)))
    for name in sorted(measured):
        if name.startswith((prefix, "majority")):
            style = "bold" if name.endswith(f"/{task.metric}") else ""
            table.add_row(Text(name), f"{measured[name]:.4f}", style=style)
    table.add_row("seconds", f"{measured['train/seconds']:.0f}")
    console = plain_console(soft_wrap=True)
    console.print(table)
    if parts.no_gold:
        note = "This score is NOT on gold rows but on synthetic rows kept for it."
        console.print(f"{note} {parts.no_gold}")
    if parts.partial:
        number = len(parts.test)
        note = f"This score is on {number} gold rows (data.test_limit)."
        console.print(f"{note} Without the option it is on all, and enters the report.")
    console.print(f"student: {folder}")
    if where:
        console.print(f"run: {where}")


def show_seeds(
    task: Task, seeds: Sequence[int], scores: Sequence[float], mean: float, deviation: float
) -> None:
    """Print the score of each seed, their mean and their standard deviation."""
    shown = ", ".join(f"{seed}: {score:.4f}" for seed, score in zip(seeds, scores, strict=True))
    print(
        f"{task.name} {task.metric} over {len(scores)} seeds: "
        f"{mean:.4f} ± {deviation:.4f} ({shown})"
    )
