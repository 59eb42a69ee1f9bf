"""Predictions beside gold -> the numbers of a task's kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from japagen.config.task import Task


def scores(task: Task, gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """The metrics of the task's kind by name, the task's own among them; labels, or numbers as text, in the same order.

    A prediction that is no label of the task is wrong, and no label of its own in the mean over labels.
    """
    if task.kind == "regression":
        numbers = [float(label) for label in gold], [float(label) for label in predicted]
        return {
            "pearson": correlation("pearsonr", *numbers),
            "spearman": correlation("spearmanr", *numbers),
        }
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    labels = sorted({*gold, *predicted} & set(task.labels))
    macro_f1 = f1_score(gold, predicted, labels=labels, average="macro", zero_division=0.0)
    found = {"accuracy": accuracy_score(gold, predicted), "macro_f1": macro_f1}
    if task.metric == "mcc":
        found["mcc"] = matthews_corrcoef(gold, predicted)
    return {name: float(value) for name, value in found.items()}


def correlation(name: str, gold: Sequence[float], predicted: Sequence[float]) -> float:
    """SciPy's correlation of that name; 0 where one side never changes, for which it is not defined."""
    import scipy.stats

    if len(set(gold)) < 2 or len(set(predicted)) < 2:
        return 0.0
    return float(getattr(scipy.stats, name)(gold, predicted)[0])


def majority(labels: Sequence[str]) -> float:
    """The accuracy of always saying the most frequent label."""
    return max(Counter(labels).values()) / len(labels)
