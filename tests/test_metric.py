"""Metrics: known values, and for every one its range and direction."""

from __future__ import annotations

import random

import pytest

from japagen.config.check_task import task_problems
from japagen.config.task import Task
from japagen.gold import metric
from japagen.metric import METRICS


def task(kind: str, name: str) -> Task:
    return Task(name="t", kind=kind, inputs=["sentence"], metric=name, labels=["0", "1"])


def test_classification_has_accuracy_and_macro_f1() -> None:
    found = metric.scores(
        task("classification", "accuracy"), ["0", "0", "1", "1"], ["0", "0", "0", "1"]
    )
    assert found == pytest.approx({"accuracy": 0.75, "macro_f1": (0.8 + 2 / 3) / 2})


def test_mcc_is_there_for_the_task_that_asks_for_it() -> None:
    found = metric.scores(task("classification", "mcc"), ["0", "1", "1"], ["1", "1", "1"])
    assert found["mcc"] == 0.0
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_regression_has_both_correlations() -> None:
    found = metric.scores(task("regression", "spearman"), ["0", "1", "4"], ["0.1", "0.2", "0.3"])
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(0.9608, abs=1e-4)


def test_the_correlation_with_a_constant_is_nothing() -> None:
    assert metric.scores(task("regression", "pearson"), ["0", "1"], ["2.0", "2.0"]) == {
        "pearson": 0.0,
        "spearman": 0.0,
    }


def test_majority() -> None:
    assert metric.majority(["a", "b", "a", "c"]) == 0.5


def test_an_answer_that_is_no_label_is_wrong_and_no_label_of_its_own() -> None:
    task = Task(name="t", inputs=["a"], labels=["yes", "no"])
    found = metric.scores(task, ["yes", "yes", "no", "no"], ["yes", "", "no", "no"])
    assert found == pytest.approx({"accuracy": 0.75, "macro_f1": (2 / 3 + 1) / 2})


@pytest.mark.parametrize("name", METRICS)
def test_range_and_direction(name: str) -> None:
    one = METRICS[name]
    draw, labels = random.Random(0), ["0", "1", "2"]
    gold = draw.choices(labels, k=50)
    perfect = one.score(gold, gold, labels)
    assert one.high is None or perfect == pytest.approx(one.high)
    for _ in range(20):
        value = one.score(gold, draw.choices(labels, k=50), labels)
        assert value < perfect
        assert one.low is None or value >= one.low


def test_a_new_metric_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def exact(gold: list[str], predicted: list[str], labels: list[str]) -> float:
        return float(gold == predicted)

    entry = METRICS["mcc"].__class__(exact, "classification", 0.0, 1.0)
    monkeypatch.setitem(METRICS, "exact", entry)
    named = task("classification", "exact")
    assert metric.scores(named, ["0", "1"], ["0", "1"])["exact"] == 1.0
    assert "exact" not in metric.scores(task("classification", "accuracy"), ["0", "1"], ["0", "1"])
    assert not [problem for problem in task_problems(named) if "metric" in problem]
