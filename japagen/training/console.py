"""What the console shows of a training."""

from __future__ import annotations

import logging
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from japagen import tracking
from japagen.config.schema import TrainConfig
from japagen.job.console import plain_console
from japagen.training import workplace
from japagen.training.score import prefix

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from japagen.training.data import Parts


def summary(config: TrainConfig, scores: Sequence[float], track: tracking.Run) -> float:
    """Mean and standard deviation (of a sample) over the seeds, to tracking and the console."""
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    track.metrics({"seeds/mean": mean, "seeds/std": deviation, "seeds/number": float(len(scores))})
    if workplace.chief():
        shown = ", ".join(
            f"{seed}: {score:.4f}" for seed, score in zip(config.seeds or [], scores, strict=True)
        )
        print(
            f"{config.task.name} {config.task.metric} over {len(scores)} seeds: {mean:.4f} ± {deviation:.4f} ({shown})"
        )
    return mean


def announce(config: TrainConfig, parts: Parts) -> None:
    """Say what was read, and how many rows of each label, before anything takes time."""
    from japagen.training import data

    log.info(
        "task %s, student %s, trained on %s",
        config.task.name,
        config.student.name,
        data.source(config),
    )
    for name, rows in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)):
        counts = Counter(row.label for row in rows)
        labels = (
            ", ".join(f"{label} {counts[label]}" for label in config.task.labels)
            if config.task.kind == "classification"
            else ""
        )
        kind = (
            f", held out of {config.data.name}"
            if name == "valid" or (name == "test" and parts.no_gold)
            else ""
        )
        kind = (
            ", the training rows themselves"
            if name == "valid" and parts.valid == parts.train
            else kind
        )
        log.info("%s: %d rows%s%s", name, len(rows), kind, f" ({labels})" if labels else "")


def show(
    config: TrainConfig, parts: Parts, measured: Mapping[str, float], folder: Path, where: str
) -> None:
    """Print the scores in one table, and where the student and its run are."""
    from rich.table import Table

    console = plain_console(soft_wrap=True)
    table = Table(
        "",
        "",
        title=f"{config.task.name}, {config.student.name} on {config.data.name}",
        show_header=False,
    )
    for name in ("train", "valid", "test"):
        table.add_row(f"{name} rows", str(len(getattr(parts, name))))
    for name in sorted(measured):
        if name.startswith((prefix(config, parts), "majority")):
            table.add_row(
                name,
                f"{measured[name]:.4f}",
                style="bold" if name.endswith(f"/{config.task.metric}") else "",
            )
    table.add_row("seconds", f"{measured['train/seconds']:.0f}")
    console.print(table)
    if parts.no_gold:
        console.print(
            f"This score is NOT on gold rows but on synthetic rows kept for it. {parts.no_gold}"
        )
    console.print(f"student: {folder}")
    if where:
        console.print(f"run: {where}")
