"""One labelled example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from japagen.config.task import Task

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled example.

    `texts` in the order of task.inputs; `label` a name of task.labels or, for regression, a
    number as text.
    """

    id: str
    texts: tuple[str, ...]
    label: str


def nearest(score: str, task: Task) -> str:
    """The label of a regression task nearest to a score; of two equally near, the first."""
    return min(task.labels, key=lambda level: abs(float(level) - float(score)))
