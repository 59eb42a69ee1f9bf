"""Cells, columns and their p-values."""

from __future__ import annotations

import pytest

from japagen.config.error import UserError
from japagen.report import markdown, page, summary
from japagen.report.row import Row
from tests.report.stores import Store, fill, predicted, reported, scored


def test_a_cell_is_the_mean_and_the_sample_deviation_over_seeds() -> None:
    store = Store()
    for seed, score in enumerate((0.5, 0.6, 0.7)):
        store.train("jnli", "zero-shot", seed, score)
    store.train("jnli", "gold", 0, 0.9)
    found = reported(store)
    (column,) = found.columns
    cell = column.cells[Row("zero-shot", "gemma3_270m", "e5_small_ja")]
    assert (cell.mean, cell.spread) == (pytest.approx(0.6), pytest.approx(0.1))
    assert column.best == Row("gold", "", "e5_small_ja")
    assert column.cells[column.best].spread is None
    assert column.metric == "accuracy"
    assert list(found.labels.values()) == ["zero-shot", "gold"]
    assert "**0.900** (n=1)" in markdown.report(found, "", [])
    assert "0.600 ± 0.100 (n=3 ×500)" in markdown.report(found, "", [])


def test_fewer_than_three_seeds_have_no_p(full: summary.Summary) -> None:
    store = Store()
    for method, target, seeds in (("zero-shot", 0.5, 3), ("5-shot", 0.95, 3), ("gold", 0.1, 2)):
        for seed in range(seeds):
            rows = predicted("jnli", target, seed)
            store.train("jnli", method, seed, scored("jnli", rows), rows=rows)
    cells = {row.method: cell for row, cell in reported(store).columns[0].cells.items()}
    assert cells["gold"].p is None
    assert cells["gold"].p_majority is None
    assert cells["5-shot"].p is None  # the best, with which the others are compared
    assert cells["zero-shot"].p is not None
    assert cells["zero-shot"].p < 0.001


def test_synthetic_datasets_of_different_sizes_are_not_compared() -> None:
    store = Store()
    for method, size in (("zero-shot", 500), ("5-shot", 50), ("gold", 500)):
        for seed in range(3):
            rows = predicted("jnli", 0.9 if method == "gold" else 0.5, seed)
            params = {"num_per_label": size}
            store.train("jnli", method, seed, scored("jnli", rows), rows=rows, params=params)
    by_best = {row.method: cell.p for row, cell in reported(store).columns[0].cells.items()}
    assert by_best["zero-shot"] is not None  # with gold
    named = reported(store, reference="zero-shot").columns[0].cells
    assert {row.method: cell.p for row, cell in named.items()}["5-shot"] is None


def test_a_method_that_may_be_chance_is_not_best(full: summary.Summary) -> None:
    store = Store()
    for seed, target in enumerate((0.1, 0.2, 0.9)):
        rows = predicted("jnli", target, seed)
        majority = {"majority/accuracy": 0.6}
        store.train("jnli", "zero-shot", seed, scored("jnli", rows), rows=rows, metrics=majority)
    (column,) = reported(store).columns
    (cell,) = column.cells.values()
    assert cell.mean > 0.6
    assert cell.p_majority is not None
    assert cell.p_majority > 0.05
    assert column.best is None


def test_below_the_majority_by_macro_f1_is_never_best() -> None:
    store = Store()
    for seed in range(3):
        rows = [
            {"id": str(n), "gold": "a" if n % 5 else "b", "predicted": "ab"[n % 3 == seed]}
            for n in range(300)
        ]
        store.train(
            "天気 <b>", "zero-shot", seed, 0.3, rows=rows, params={"task.metric": "macro_f1"}
        )
    (column,) = reported(store).columns
    assert column.majority == pytest.approx(0.444, abs=0.001)
    assert column.best is None


def test_a_method_below_the_majority_class_is_never_best() -> None:
    store = Store()
    for seed in range(3):
        for method, target in (("zero-shot", 0.1), ("knowledge", 0.2)):
            rows = predicted("jnli", target, seed)
            majority = {"majority/accuracy": 0.67}
            score = scored("jnli", rows)
            store.train("jnli", method, seed, score, rows=rows, metrics=majority)
    found = reported(store)
    assert found.columns[0].best is None
    text = markdown.report(found, "", [])
    assert "**" not in text
    assert text.count("° ±") == 2
    assert "°: not above the majority class" in text
    assert page.html(found, "").count("°</span>") == 2


@pytest.mark.slow
def test_a_reference_row_is_what_all_are_compared_with(full: summary.Summary) -> None:
    store = Store()
    fill(store)
    found = reported(store, reference="zero-shot", tasks=["jnli"])
    cells = {row.method: cell for row, cell in found.columns[0].cells.items()}
    assert [method for method, cell in cells.items() if cell.p is None] == ["zero-shot"]
    assert "“zero-shot”" in " ".join(summary.footnotes(found))
    with pytest.raises(UserError, match="did you mean 'zero-shot'"):
        reported(store, reference="zeroshot")
    with pytest.raises(UserError, match=r"--task jnl: .*did you mean 'jnli'"):
        reported(store, tasks=["jnl"])


def test_the_majority_stands_where_the_metric_is_of_labels(full: summary.Summary) -> None:
    assert [column.majority for column in full.columns] == [0.0, 0.55, None, 0.55]
    assert "| majority | 0.000 | 0.550 | — | 0.550 |" in markdown.report(full, "", [])
