"""Charts of scores against size and quality."""

from __future__ import annotations

import pytest

from japagen.report import row, summary
from tests.report.stores import Store, reported


def test_the_table_has_the_largest_size_and_the_curve_all(full: summary.Summary) -> None:
    assert [chart.title for chart in full.scaling] == ["jcola", "jnli", "jsts", "天気 <b>"] * 2
    sizes = {one.name: [point.x for point in one.points] for one in full.scaling[1].series}
    assert sizes == {
        "zero-shot": [50, 500],
        "5-shot": [50, 500],
        "knowledge": [50, 500],
        "few gold": [10, 50],
    }
    assert [point.x for point in full.scaling[5].series[0].points] == [0.1, 0.5, 1.0]
    column = full.columns[1]
    for key, cell in column.cells.items():
        assert len(cell.runs) == 3, key
        assert {row.size(run) for run in cell.runs} <= {None, 10.0, 50.0, 500.0}
        assert {row.size(run) for run in cell.runs} != {50.0} or key.method == "few gold 50"
    assert "the table has the largest" in " ".join(summary.footnotes(full))


def test_quality_is_joined_by_fingerprint(full: summary.Summary) -> None:
    diversity, correctness = full.quality[1], full.quality[5]
    assert (diversity.x, correctness.x) == ("diversity", "label correctness")
    (zero,) = [one for one in diversity.series if one.name == "zero-shot"]
    assert [point.x for point in zero.points] == pytest.approx([0.45, 0.46, 0.47])
    assert "gold" not in {one.name for one in diversity.series}


def test_the_metrics_of_quality_are_chosen_by_their_whole_names() -> None:
    """As evaluate.py records them: many other metrics have a part of their names."""
    store = Store()
    names = ["distinct_1", "distinct_2", "gold_diversity", "label_correctness/a", "divergence"]
    for seed, (diversity, correctness) in enumerate([(0.3, 0.8), (0.4, 0.9)]):
        store.train("jnli", "zero-shot", seed, 0.5 + seed / 10)
        mark = store.runs[-1].tags["fingerprint"]
        measured = {f"quality/{name}": 0.99 for name in names}
        measured |= {"quality/diversity": diversity, "quality/label_correctness": correctness}
        tags = {"stage": "evaluate", "subject": "dataset", "fingerprint": mark}
        store.add("jnli", tags, measured)
    charts = reported(store).quality
    assert [one.x for one in charts] == ["diversity", "label correctness"]
    places = [[point.x for point in one.series[0].points] for one in charts]
    assert places == [[0.3, 0.4], [0.8, 0.9]]


def test_without_diversity_no_other_metric_takes_its_place() -> None:
    store = Store()
    for seed in range(2):
        store.train("jnli", "zero-shot", seed, 0.5)
        tags = {"stage": "evaluate", "fingerprint": store.runs[-1].tags["fingerprint"]}
        store.add("jnli", tags, {"quality/distinct_2": 0.5, "quality/gold_diversity": 0.5})
    assert reported(store).quality == []
