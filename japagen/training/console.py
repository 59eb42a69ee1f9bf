"""What the console shows about a training."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    others: Mapping[str, float],
    folder: Path,
    where: str,
    seconds: float,
) -> None:
    """Print the end of a job: scores, what they are measured on, the student's folder, the run.

    `prefix`: of the test metrics; `others`: scores of prompting by its name; `where`: how to open
    the run, or ""; `seconds`: how long the whole job took.
    """
    from rich.table import Table
    from rich.text import Text

    task = training.task
    title = f"{task.name}, {training.student.name} on {training.data.name}"
    table = Table("", "", title=Text(title), show_header=False)
    main = f"{prefix}/{task.metric}"
    table.add_row(Text(main), f"{measured[main]:.4f}", style="bold")
    for text, style in verdicts(task, measured, prefix, others):
        table.add_row("", Text(text, style))
    for name in sorted(measured):
        if name.startswith((prefix, "majority")) and name != main:
            table.add_row(Text(name), f"{measured[name]:.4f}")
    for name, rows in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)):
        table.add_row(f"{name} rows", str(len(rows)))
    table.add_row("seconds", f"{seconds:.0f} (training {measured['train/seconds']:.0f})")
    console = plain_console(soft_wrap=True)
    console.print(table)
    for note in notes(parts):
        console.print(note)
    console.print(f"student: {folder}")
    if where:
        console.print(f"run: {where}")


def notes(parts: Parts) -> Iterator[str]:
    """Yield what must be known of a score that is not on all gold rows."""
    if parts.no_gold:
        yield "This score is NOT on gold rows but on synthetic rows kept for it."
        yield parts.no_gold
    if parts.partial:
        yield (
            f"This score is on {len(parts.test)} gold rows (data.test_limit). "
            "Without the option it is on all, and enters the report."
        )


def verdicts(
    task: Task, measured: Mapping[str, float], prefix: str, others: Mapping[str, float]
) -> Iterator[tuple[str, str]]:
    """Yield (whether the score is above a baseline, its colour) for each baseline that is known.

    One run of one seed: a difference smaller than that between seeds means nothing.
    """
    score = measured[f"{prefix}/{task.metric}"]
    known = dict(others)
    if task.metric == "accuracy":
        shares = [
            measured[key]
            for key in measured
            if key.startswith((prefix, "majority"))
            and key.endswith(("majority/accuracy", "majority_accuracy"))
        ]
        known = {"the majority class": shares[0], **known} if shares else known
    elif task.metric == "mcc":
        known = {"the majority class": 0.0, **known}
    for name, other in known.items():
        above = score > other
        shown = f"{'above' if above else 'NOT above'} {name}: {other:.4f}"
        yield shown, "green" if above else "red"


def show_seeds(
    task: Task, seeds: Sequence[int], scores: Sequence[float], mean: float, deviation: float
) -> None:
    """Print the score of each seed, their mean and their standard deviation."""
    shown = ", ".join(f"{seed}: {score:.4f}" for seed, score in zip(seeds, scores, strict=True))
    print(
        f"{task.name} {task.metric} over {len(scores)} seeds: "
        f"{mean:.4f} ± {deviation:.4f} ({shown})"
    )
