"""The tests of whether two methods differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from japagen.report import significance, table
from japagen.report.row import Row
from japagen.tracking import Recorded
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


def drawn(target: float, seeds: Sequence[int]) -> significance.Resampled | None:
    runs = [predicted("jnli", target, seed) for seed in seeds]
    return significance.resampled("accuracy", [pairs(rows) for rows in runs])


def pairs(rows: Sequence[dict[str, str]]) -> dict[str, tuple[str, str]]:
    return {row["id"]: (row["gold"], row["predicted"]) for row in rows}


def test_p_is_deterministic_and_tells_a_difference_from_none() -> None:
    p = significance.p_value(drawn(0.9, [0, 1, 2]), drawn(0.1, [3, 4, 5]))
    assert p is not None
    assert p < 0.001
    assert p == pytest.approx(significance.p_value(drawn(0.1, [3, 4, 5]), drawn(0.9, [0, 1, 2])))
    assert significance.p_value(drawn(0.5, [0]), drawn(0.5, [0])) == 1.0
    assert 0.01 < (significance.p_value(drawn(0.5, [2]), drawn(0.53, [3])) or 0) <= 1
    all_right = significance.resampled("accuracy", [{"1": ("a", "a"), "2": ("a", "a")}])
    all_wrong = significance.resampled("accuracy", [{"1": ("a", "b"), "2": ("a", "b")}])
    assert significance.p_value(all_right, all_wrong) == pytest.approx(2 / 2001)


def method(seeds: list[float], rows: float) -> significance.Resampled:
    """A method whose mean on the resamples is normal with the deviation `rows`."""
    at = (np.arange(significance.RESAMPLES) + 0.5) / significance.RESAMPLES
    spread = scipy.stats.norm.ppf(at) * rows
    return significance.Resampled(("1", "2"), spread, tuple(seeds))


def test_without_variance_over_rows_p_is_that_of_welch_s_t_test() -> None:
    one, two = [0.71, 0.74, 0.78], [0.60, 0.70, 0.66, 0.69]
    expected = scipy.stats.ttest_ind(one, two, equal_var=False).pvalue
    assert significance.p_value(method(one, 0), method(two, 0)) == pytest.approx(expected)


def test_without_seeds_p_is_that_of_the_bootstrap() -> None:
    ids = tuple(map(str, range(100_000)))
    one = replace(method([0.75], 0.02), ids=ids)
    found = significance.p_value(one, replace(method([0.70], 0), ids=ids))
    assert found == pytest.approx(2 * scipy.stats.norm.sf(0.05 / 0.02), rel=0.02)


def test_seeds_that_differ_much_show_no_difference() -> None:
    # Predictions of one seed are right on most rows, of the other wrong: a bootstrap over rows
    # alone would call the mean of both certain.
    wild = [0.63, 0.10, 0.37]
    rows = [pairs(predicted("jnli", share, seed)) for seed, share in enumerate(wild)]
    steady = [pairs(predicted("jnli", 0.25, seed)) for seed in range(3)]
    p = significance.p_value(
        significance.resampled("accuracy", rows), significance.resampled("accuracy", steady)
    )
    assert p is not None
    assert p > 0.3


def test_runs_of_one_dataset_are_not_independent() -> None:
    runs = [
        pairs(predicted("jnli", share, seed)) for seed, share in enumerate([0.5, 0.5, 0.7, 0.7])
    ]
    found = significance.resampled("accuracy", runs, ["x", "x", "y", "y"])
    each = significance.resampled("accuracy", runs)
    one = significance.resampled("accuracy", runs, ["x"] * 4)
    assert found is not None
    assert each is not None
    assert one is not None
    assert found.seeds == (
        pytest.approx(np.mean(each.seeds[:2])),
        pytest.approx(np.mean(each.seeds[2:])),
    )
    assert one.seeds == each.seeds  # it can say nothing of other datasets


def test_an_answer_without_a_label_is_wrong_and_no_label_of_its_own() -> None:
    from japagen import metric

    gold = ["a", "b"] * 10
    said = ["a", "b"] * 8 + ["", "", "a", "a"]
    found = significance.score("macro_f1", gold, said)
    assert found is not None
    assert found[0] == pytest.approx(metric.macro_f1(gold, said, ["a", "b"]))


def test_the_majority_class_is_a_method_without_seeds() -> None:
    rows = {"1": ("a", "b"), "2": ("a", "a"), "3": ("b", "b")}
    found = significance.majority("accuracy", rows)
    assert found is not None
    assert found.seeds == (pytest.approx(2 / 3),)
    assert significance.majority("spearman", rows) is None
    assert significance.majority("accuracy", {}) is None


@pytest.mark.slow
def test_without_a_true_difference_few_tables_have_a_mark() -> None:
    """Five methods as good as the majority class; what differs is chance of rows and of seeds."""
    random, marked, tables = np.random.default_rng(1), 0, 400
    for _ in range(tables):
        marked += has_mark(random)
    assert marked <= 0.05 * tables


def has_mark(random: np.random.Generator) -> bool:
    number, share = 200, 0.6
    gold = np.where(random.random(number) < share, "a", "b")
    hard = random.normal(0, 0.15, number)
    cells: dict[Row, table.Cell] = {}
    for name in range(5):
        runs = []
        for seed in range(3):
            right = random.random(number) < share + hard + random.normal(0, 0.03)
            said = np.where(right, gold, np.where(gold == "a", "b", "a"))
            lines = [
                json.dumps({"id": str(key), "gold": str(one), "predicted": str(two)})
                for key, (one, two) in enumerate(zip(gold, said, strict=True))
            ]
            score, text = float(right.mean()), "\n".join(lines)
            tags = {"method": str(name), "seed": str(seed)}
            read = {"predictions.jsonl": text}.get
            runs.append(Recorded("", "", "t", "", "FINISHED", 0, tags, {}, {"score": score}, read))
        cells[Row(str(name))] = table.Cell(runs)
    best = max(cells, key=lambda key: cells[key].mean)
    usual = float(max((gold == "a").mean(), (gold == "b").mean()))
    column = table.Column("t", "accuracy", cells, usual, best, best)
    table.compare(column, chosen=True)
    return any(
        (cell.p is not None and cell.p < table.LEVEL) or not column.doubtful(cell)
        for cell in cells.values()
    )


def test_other_rows_are_not_compared_by_the_bootstrap() -> None:
    one = significance.resampled("accuracy", [{"1": ("a", "a"), "2": ("a", "b")}])
    two = significance.resampled("accuracy", [{"1": ("a", "a"), "3": ("a", "b")}])
    assert one
    assert significance.p_value(one, two) is None
    assert significance.resampled("accuracy", [{"1": ("a", "a")}, {"2": ("a", "a")}]) is None
    assert significance.resampled("spearman", [{"1": ("0.5", "None")}]) is None
    assert significance.resampled("", [{"1": ("a", "a")}]) is None


def test_holm() -> None:
    assert significance.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([]) == []
    assert significance.holm([0.01, 0.04], 5) == pytest.approx([0.05, 0.16])


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e200", "x", ""])
@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_numbers_that_cannot_be_compared_are_not_significant(metric: str, text: str) -> None:
    rows = {str(key): (f"{key}", f"{key / 2}") for key in range(20)}
    assert significance.resampled(metric, [rows]) is not None
    assert significance.resampled(metric, [{**rows, "3": ("3", text)}]) is None
