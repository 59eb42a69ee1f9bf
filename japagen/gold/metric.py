"""Score predictions of a task by the metrics of japagen/metric.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from japagen.config.task import Task
from japagen.metric import METRICS


def scores(task: Task, gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """The metrics of the task's kind by name, with the one that the task names.

    `gold` and `predicted` in the same order: labels or, for regression, numbers as text. A
    prediction that is no label of the task is wrong.
    """
    return {
        name: metric.score(gold, predicted, task.labels)
        for name, metric in METRICS.items()
        if metric.kind == task.kind and (metric.always or name == task.metric)
    }


def majority(labels: Sequence[str]) -> float:
    """The accuracy of the majority-class baseline: always the most frequent label."""
    return max(Counter(labels).values()) / len(labels)
