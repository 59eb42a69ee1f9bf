"""The content of a report."""

from __future__ import annotations

import dataclasses
import math

import pytest

from japagen.report import markdown, page, summary
from tests.report.stores import NOW, Store, fill, reported


def test_what_is_counted_but_not_in_the_table() -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5)
    store.add("jnli", {"stage": "train"}, {"heldout/accuracy": 0.9})
    store.add("jnli", {"stage": "train", "error": "ValueError: x"}, {"score": 0.9}, status="FAILED")
    store.add("jnli", {"stage": "train"}, {"score": 0.9}, status="RUNNING", began=NOW - 60)
    store.add("jnli", {"stage": "generate"}, status="RUNNING", began=NOW - 13 * 3600)
    store.add("jnli", {"stage": "sweep"}, {"score": 0.99})
    store.add("jnli", {"stage": "evaluate", "subject": "dataset"}, {"score": 0.99})
    found = reported(store)
    assert len(found.runs) == 1
    states = {state: found.counts["jnli"][state] for state in summary.STATES}
    assert list(states.values()) == [3, 1, 0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1.7976931348623157e308])
def test_a_score_that_is_no_number_is_counted_and_not_shown(number: float) -> None:
    store = Store()
    for method, size, score in (
        ("zero-shot", 8, number),
        ("zero-shot", 16, 0.5),
        ("5-shot", 16, 0.6),
    ):
        store.train("jnli", method, 0, score, params={"num_per_label": size})
    found = reported(store)
    assert [run.metrics["score"] for run in found.runs] == [0.5, 0.6]
    assert found.counts["jnli"]["not a number"] == 1
    for text in (page.html(found, ""), markdown.report(found, "", [])):
        assert "not a number" in text
        assert "nan" not in text.lower().replace("nan or infinite", "")


@pytest.mark.slow
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1.7976931348623157e308])
def test_no_other_metric_that_is_no_number_ends_the_report(number: float) -> None:
    store = Store()
    fill(store, sizes=(50, 500))
    for place, run in enumerate(store.runs):
        broken = {key: number for key in run.metrics if key != "score"}
        store.runs[place] = dataclasses.replace(
            run, metrics={**run.metrics, **broken}, began=number
        )
    found = summary.summarise(store.runs, at=NOW)
    for text in (page.html(found, ""), markdown.report(found, "", [])):
        assert "nan" not in text.lower().replace("nan or infinite", "")
        assert "inf" not in text.lower().replace("nan or infinite", "")
