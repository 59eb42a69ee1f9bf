"""The metrics of predictions on gold rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from japagen.config.task import Task
from japagen.gold import metric
from japagen.gold.example import nearest

Rows = Sequence[Mapping[str, Any]]  # id, gold, predicted


@dataclass
class Result:
    """Predictions, other metrics and tags of a run, and lines for the end of the console output."""

    title: str
    rows: Rows = ()
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def measure(task: Task, rows: Rows, name: str) -> dict[str, float]:
    """The metrics of predictions as `name`/METRIC, and the share of each label.

    If `name` is `test`, which stands for all gold rows, `score` is the task's own metric.
    """
    gold = [row["gold"] for row in rows]
    # An answer without a label is wrong; an answer without a number counts as the middle level.
    unread = ""
    if task.kind == "regression":
        unread = str(sum(map(float, task.labels)) / len(task.labels))
    predicted = [unread if row["predicted"] is None else str(row["predicted"]) for row in rows]
    scores = metric.scores(task, gold, predicted)
    measured = {f"{name}/{key}": value for key, value in scores.items()}
    if task.kind == "classification":
        key = "majority/accuracy" if name == "test" else f"{name}/majority_accuracy"
        measured[key] = metric.majority(gold)
    measured |= shares("predicted", [value for value in predicted if value], task, len(rows))
    measured |= shares("gold", gold, task, len(rows))
    # Rounded, because MLflow's tables show all digits.
    return {**measured, "score": round(scores[task.metric], 4)} if name == "test" else measured


def shares(kind: str, values: Sequence[str], task: Task, number: int) -> dict[str, float]:
    """The share of each label, or level, among `number` rows."""
    labels = [nearest(value, task) for value in values] if task.kind == "regression" else values
    counts = Counter(labels)
    return {f"{kind}/{label}": counts[label] / number for label in task.labels}
