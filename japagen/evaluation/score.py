"""The metrics of predictions on gold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from japagen.config.task import Task
from japagen.gold import example, metric

Rows = Sequence[Mapping[str, Any]]


@dataclass
class Found:
    """What was found out: metrics beside those of the predictions, tags, and the last lines for the console."""

    rows: Rows = ()
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def measure(task: Task, rows: Rows, name: str) -> dict[str, float]:
    """The metrics of the predictions; `score` is the task's own, on all of gold. Also how often each label is predicted."""
    labels = [row["gold"] for row in rows]
    # An answer that could not be read is wrong; where numbers are compared, it stands for the middle, which says nothing.
    unread = (
        str(sum(map(float, task.labels)) / len(task.labels)) if task.kind == "regression" else ""
    )
    said = [unread if row["predicted"] is None else str(row["predicted"]) for row in rows]
    found = metric.scores(task, labels, said)
    measured = {f"{name}/{key}": value for key, value in found.items()}
    if task.kind == "classification":
        measured["majority/accuracy" if name == "test" else f"{name}/majority_accuracy"] = (
            metric.majority(labels)
        )
    for kind, values in (("predicted", [value for value in said if value != ""]), ("gold", labels)):
        near = Counter(
            example.nearest(value, task) if task.kind == "regression" else value for value in values
        )
        measured |= {f"{kind}/{label}": near[label] / len(rows) for label in task.labels}
    return {**measured, "score": found[task.metric]} if name == "test" else measured
