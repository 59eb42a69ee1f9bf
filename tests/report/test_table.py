"""Cells, columns and their p-values."""

from __future__ import annotations

import pytest

from japagen.config.error import UserError
from japagen.report import markdown, page, significance, summary
from japagen.report.row import Row
from tests.report.stores import Store, fill, reported


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
    assert "0.600 ± 0.100 (n=3)" in markdown.report(found, "", [])


def test_without_predictions_seeds_are_compared_by_a_t_test() -> None:
    store = Store()
    for seed, (low, high) in enumerate([(0.50, 0.60), (0.52, 0.63), (0.55, 0.64)]):
        store.train("jnli", "zero-shot", seed, low)
        store.train("jnli", "5-shot", seed, high)
    store.train("jnli", "gold", 0, 0.1)
    found = reported(store)
    cells = {row.method: cell for row, cell in found.columns[0].cells.items()}
    assert cells["zero-shot"].how == "t-test"
    assert cells["zero-shot"].p == pytest.approx(
        1 - 17.3205 / 302**0.5, abs=1e-5
    )  # of t = 10 * 3 ** 0.5 with 2 degrees of freedom
    assert cells["gold"].p is None  # one common seed
    assert "paired t-test" in " ".join(summary.footnotes(found))
    assert "p<sub>t</sub> = 0.003" in page.html(found, "")
    assert significance.t_test({"0": 0.5, "1": 0.6}, {"0": 0.4, "1": 0.5}) is None


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


def test_the_majority_stands_where_the_metric_is_accuracy(full: summary.Summary) -> None:
    assert [column.majority for column in full.columns] == [None, 0.55, None, 0.55]
    assert "| majority | — | 0.550 | — | 0.550 |" in markdown.report(full, "", [])
