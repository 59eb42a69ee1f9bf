"""The tests of whether two methods differ."""

from __future__ import annotations

import numpy as np
import pytest

from japagen.report import significance
from tests.report.stores import METRICS, predicted, scored


@pytest.mark.parametrize("task", ["jnli", "jcola", "jsts"])
def test_resampled_scores_are_those_of_scikit_learn_and_scipy(task: str) -> None:
    rows = predicted(task, 0.7, 0, number=60)
    found = significance.score(
        METRICS[task], [row["gold"] for row in rows], [row["predicted"] for row in rows]
    )
    assert found is not None
    for drawing in range(5):
        weights = significance.resamples(60)[drawing]
        assert weights.sum() == 60
        assert found[drawing] == pytest.approx(
            scored(task, [rows[i] for i in np.repeat(range(60), weights)]), abs=1e-9
        )


def test_the_bootstrap_is_deterministic_and_tells_a_difference_from_none() -> None:
    def drawn(target: float, seed: int) -> significance.Resampled | None:
        rows = predicted("jnli", target, seed)
        return significance.resampled(
            "accuracy", [{row["id"]: (row["gold"], row["predicted"]) for row in rows}]
        )

    p = significance.bootstrap(drawn(0.9, 0), drawn(0.1, 1))
    assert p == pytest.approx(2 / 2001)
    assert p == significance.bootstrap(drawn(0.1, 1), drawn(0.9, 0))
    same = significance.bootstrap(drawn(0.5, 0), drawn(0.5, 0))
    assert same == 1.0
    assert 0.01 < (significance.bootstrap(drawn(0.5, 2), drawn(0.53, 3)) or 0) <= 1


def test_other_rows_are_not_compared_by_the_bootstrap() -> None:
    one = significance.resampled("accuracy", [{"1": ("a", "a"), "2": ("a", "b")}])
    two = significance.resampled("accuracy", [{"1": ("a", "a"), "3": ("a", "b")}])
    assert one
    assert significance.bootstrap(one, two) is None
    assert significance.resampled("accuracy", [{"1": ("a", "a")}, {"2": ("a", "a")}]) is None
    assert significance.resampled("spearman", [{"1": ("0.5", "None")}]) is None
    assert significance.resampled("", [{"1": ("a", "a")}]) is None


def test_holm() -> None:
    assert significance.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([]) == []


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e200", "x", ""])
@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_numbers_that_cannot_be_compared_are_not_significant(metric: str, text: str) -> None:
    rows = {str(key): (f"{key}", f"{key / 2}") for key in range(20)}
    assert significance.resampled(metric, [rows]) is not None
    assert significance.resampled(metric, [{**rows, "3": ("3", text)}]) is None
