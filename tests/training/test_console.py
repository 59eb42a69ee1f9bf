"""The verdicts beside a score."""

from __future__ import annotations

import pytest

from japagen.config.task import Task
from japagen.training.console import verdicts


@pytest.mark.parametrize(
    ("measured", "prefix"),
    [
        ({"test/accuracy": 0.8, "majority/accuracy": 0.7}, "test"),
        ({"partial/accuracy": 0.8, "partial/majority_accuracy": 0.7}, "partial"),
    ],
)
def test_a_score_stands_beside_its_baselines(measured: dict[str, float], prefix: str) -> None:
    task = Task(name="t", inputs=["text"], labels=["a", "b"], metric="accuracy")
    found = list(verdicts(task, measured, prefix, {"llm prompting 0-shot": 0.9}))
    assert found == [
        ("above the majority class: 0.7000", "green"),
        ("NOT above llm prompting 0-shot: 0.9000", "red"),
    ]


def test_equal_to_the_majority_class_is_not_above() -> None:
    task = Task(name="t", inputs=["text"], labels=["a", "b"], metric="mcc")
    assert list(verdicts(task, {"test/mcc": 0.0}, "test", {})) == [
        ("NOT above the majority class: 0.0000", "red")
    ]


def test_a_regression_has_no_majority_class() -> None:
    task = Task(name="t", inputs=["text"], labels=["0", "5"], kind="regression", metric="spearman")
    assert not list(verdicts(task, {"test/spearman": 0.5}, "test", {}))
