"""Costs and break-evens."""

from __future__ import annotations

import math

import pytest

from japagen.report import cost, format, page, summary
from tests.report.stores import Store, reported


@pytest.mark.parametrize(
    ("before", "prompting", "student", "expected"),
    [
        (960.0, 401.0, 9.0, math.ceil(960 / 0.392)),
        (960.0, 9.0, 9.0, math.inf),
        (960.0, 5.0, 9.0, math.inf),
        (0.0, 5.0, 1.0, 0.0),
        (None, 5.0, 1.0, None),
        (960.0, None, 1.0, None),
    ],
)
def test_break_even(
    before: float | None, prompting: float | None, student: float | None, expected: float | None
) -> None:
    assert cost.break_even(before, prompting, student) == expected


def test_costs_join_generation_training_and_prompting(full: summary.Summary) -> None:
    found = {(one.task, one.row.method): one for one in full.costs}
    zero, prompting = found["jnli", "zero-shot"], found["jnli", "prompting 0-shot"]
    assert (zero.seconds, zero.before_seconds, zero.before_dollars) == (9.0, 960.0, 1.5)
    assert (prompting.seconds, prompting.dollars, prompting.even_seconds) == (
        401.0,
        pytest.approx(0.2),
        None,
    )
    assert zero.even_seconds == math.ceil(960 / 0.392)
    assert zero.even_dollars == pytest.approx(7500, abs=1)
    assert found["jnli", "gold"].before_seconds == 60.0
    text = page.html(full, "")
    assert "2,449" in text
    assert format.amount(math.inf) == "never"


def test_a_dataset_that_was_extended_or_resumed_is_paid_once() -> None:
    store = Store()
    mark = "jnlizero-shot0"
    tags = {"stage": "generate", "fingerprint": mark, "method": "zero-shot", "llm": "gemma3_270m"}
    made = [(16, {"seconds": 50.0, "total_seconds": 50.0, "cost": 1.0})]
    made.append((500, {"seconds": 10.0, "total_seconds": 900.0, "cost": 4.0}))
    made.append((500, {"total_seconds": 900.0, "cost": 4.0}))  # repeated; nothing was generated
    for number, metrics in made:
        store.add("jnli", tags, metrics, {"num_per_label": number, "seed": 0})
    store.train("jnli", "zero-shot", 0, 0.6, metrics={cost.SECONDS: 1.0})
    (found,) = reported(store).costs
    assert (found.before_seconds, found.before_dollars) == (60.0 + 900.0, 4.0)


def test_a_student_whose_generation_is_not_recorded_has_no_break_even() -> None:
    store = Store()
    tags = {
        "stage": "evaluate",
        "subject": "prompting",
        "method": "prompting 0-shot",
        "llm": "gemma3_270m",
    }
    store.add("jnli", tags, {"score": 0.5, cost.SECONDS: 4.0}, {"seed": 0})
    store.train("jnli", "zero-shot", 0, 0.6, metrics={cost.SECONDS: 1.0})
    student = reported(store).costs[1]
    assert (student.before_seconds, student.even_seconds) == (None, None)


def test_a_score_on_a_part_of_the_rows_has_no_costs() -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5, metrics={cost.SECONDS: 9.0})
    tags = {"stage": "train", "method": "gold", "student": "tiny"}
    store.add("jnli", tags, {"partial/accuracy": 0.5, cost.SECONDS: 9.0}, {"seed": 0})
    assert [one.row.method for one in reported(store).costs] == ["zero-shot"]


def test_a_task_without_scores_has_no_costs() -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5, metrics={"cost/seconds_per_1000": 9.0})
    tags = {"stage": "evaluate", "subject": "prompting", "method": "prompting 0-shot"}
    store.add("news", tags, {"cost/seconds_per_1000": 400.0})
    assert {one.task for one in reported(store).costs} == {"jnli"}
