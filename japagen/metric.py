"""The metrics of predictions: to add one, write a function and an entry in METRICS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Labels = Sequence[str]
# (gold, predicted, labels of the task) -> value. For regression all are numbers as text.
Function = Callable[[Labels, Labels, Labels], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and the kind of task that it is for.

    Higher is always better: give an error a minus sign. `low`, `high`: its range, with None for
    no limit. `always`: computed for each task of its kind, not only where `metric:` names it.
    """

    score: Function
    kind: Literal["classification", "regression"]
    low: float | None
    high: float | None
    always: bool = False


def accuracy(gold: Labels, predicted: Labels, _labels: Labels) -> float:
    """The share of equal labels."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(gold, predicted))


def macro_f1(gold: Labels, predicted: Labels, labels: Labels) -> float:
    """The mean over labels of 2 TP / (2 TP + FP + FN) (van Rijsbergen 1979).

    Over labels that occur; a prediction that is no label of the task is wrong, not a new label.
    """
    from sklearn.metrics import f1_score

    occur = sorted({*gold, *predicted} & set(labels))
    return float(f1_score(gold, predicted, labels=occur, average="macro", zero_division=0.0))


def mcc(gold: Labels, predicted: Labels, _labels: Labels) -> float:
    """Matthews correlation (Matthews 1975; several labels: Gorodkin 2004); 0 for one label."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(gold, predicted))


def pearson(gold: Labels, predicted: Labels, _labels: Labels) -> float:
    """Pearson correlation: covariance over the product of the standard deviations."""
    from scipy.stats import pearsonr

    return 0.0 if constant(gold, predicted) else float(pearsonr(*numbers(gold, predicted))[0])


def spearman(gold: Labels, predicted: Labels, _labels: Labels) -> float:
    """Spearman correlation: Pearson correlation of the ranks (Spearman 1904)."""
    from scipy.stats import spearmanr

    return 0.0 if constant(gold, predicted) else float(spearmanr(*numbers(gold, predicted))[0])


def numbers(gold: Labels, predicted: Labels) -> tuple[list[float], list[float]]:
    """Both sides as numbers."""
    return [float(text) for text in gold], [float(text) for text in predicted]


def constant(gold: Labels, predicted: Labels) -> bool:
    """Whether one side never changes: a correlation is then not defined, and 0 here."""
    return any(len(set(side)) < 2 for side in numbers(gold, predicted))


METRICS = {
    "accuracy": Metric(accuracy, "classification", 0.0, 1.0, always=True),
    "macro_f1": Metric(macro_f1, "classification", 0.0, 1.0, always=True),
    "mcc": Metric(mcc, "classification", -1.0, 1.0),
    "pearson": Metric(pearson, "regression", -1.0, 1.0, always=True),
    "spearman": Metric(spearman, "regression", -1.0, 1.0, always=True),
}
