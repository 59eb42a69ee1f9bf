"""What the user sees while rows are labelled: a bar on a terminal, else log lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from japagen.job.console import plain_console

if TYPE_CHECKING:
    import numpy as np

    from japagen.student.backend import Backend

EVERY = 30.0  # seconds between two lines


class Progress:
    """Rows done and rows per second. `done`: rows that an earlier process has finished."""

    def __init__(self, done: int, total: int | None) -> None:
        self.first = self.done = done
        self.total = total
        self.start = self.last = time.monotonic()
        console = plain_console(stderr=True)
        self.bar: Any = bar(console) if console.is_terminal else None
        self.task = self.bar and self.bar.add_task("", total=total, completed=done, speed="")

    def expect(self, rows: int, position: int, size: int) -> None:
        """Estimate the total if `rows` rows end at byte `position` of `size`."""
        self.total = max(rows, round(rows * size / max(1, position)))

    def step(self, rows: int) -> None:
        """Add rows that were labelled or found bad, and show it when it is time."""
        self.done += rows
        now = time.monotonic()
        if self.bar:
            speed = f"{self.speed(now):,.0f} rows/s"
            self.bar.update(self.task, completed=self.done, total=self.total, speed=speed)
        elif now - self.last >= EVERY:
            self.last = now
            print(self.line(now), file=sys.stderr, flush=True)

    def speed(self, now: float) -> float:
        """Return the rows per second of this process."""
        return (self.done - self.first) / max(now - self.start, 1e-9)

    def line(self, now: float) -> str:
        """Return a line about the rows done, their speed and the time left."""
        speed = self.speed(now)
        text = f"{self.done:,} rows, {speed:,.0f} rows/s"
        if self.total and speed:
            left = round(max(0, self.total - self.done) / speed)
            text += f", {self.done / self.total:.0%}, {left // 3600}:{left // 60 % 60:02}:"
            text += f"{left % 60:02} left"
        return text

    def __enter__(self) -> Progress:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()


def bar(console: Any) -> Any:
    """Return a bar with the rows, their speed and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    speed = TextColumn("{task.fields[speed]}")
    return Progress(MofNCompleteColumn(), BarColumn(), speed, TimeLeft(), console=console)


class Watched:
    """A backend that reports the rows of each batch."""

    def __init__(self, backend: Backend, step: Callable[[int], None]) -> None:
        self.backend, self.step = backend, step

    def logits(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the logits of a batch."""
        found = self.backend.logits(batch)
        self.step(len(found))
        return found
