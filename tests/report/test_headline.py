"""The chart of a task's methods."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from japagen.report import headline, summary
from tests.report.stores import Store, reported


def test_each_task_has_a_chart_of_the_tables_numbers(full: summary.Summary) -> None:
    assert [one.task for one in full.headlines] == [column.task for column in full.columns]
    for chart, column in zip(full.headlines, full.columns, strict=True):
        cells = [(cell.mean, cell.spread) for cell in column.cells.values()]
        assert sorted((one.mean, one.spread) for one in chart.methods) == sorted(cells)
        assert [one.name for one in chart.methods] == list(full.labels.values())
        assert chart.majority == column.majority
        assert [one.name for one in chart.methods if one.best] == ["gold"]


def test_marks_bars_and_the_majority_class_are_at_their_places() -> None:
    methods = [
        headline.Method("zero-shot", 0, 0.5, None, False),
        headline.Method("gold", 1, 0.75, 0.05, True),
    ]
    chart = headline.Headline("jnli", "accuracy", methods, 0.4, 0)
    xs = headline.axis(chart)
    drawn = [headline.drawn(one, 0, xs) for one in methods]
    assert (drawn[0]["low"], drawn[0]["high"]) == (drawn[0]["x"], drawn[0]["x"])
    assert (drawn[1]["low"], drawn[1]["high"]) == (xs(0.7), xs(0.8))
    assert headline.LEFT <= xs(0.4) < drawn[0]["x"] < drawn[1]["x"] <= headline.RIGHT
    text = headline.svg(chart)
    assert text.count('class="spread"') == 1
    assert f"M{xs(0.4)} " in text
    assert "majority class 0.400" in text
    without = headline.svg(headline.Headline("jsts", "spearman", methods, None, 0))
    assert "majority" not in without
    assert 'class="rule"' not in without


def test_of_many_methods_the_best_are_drawn_in_the_tables_order() -> None:
    store = Store()
    for shots in range(20):
        store.train("jnli", f"{shots + 1}-shot", 0, 0.9 - shots / 100)
    (chart,) = reported(store).headlines
    assert [one.name for one in chart.methods] == [f"{n + 1}-shot" for n in range(headline.MOST)]
    assert "The best 12 methods; the table has 8 more." in headline.svg(chart)


@pytest.mark.parametrize("text", ["</svg><script>", "\x00\ud800\u202e<&\"'{{ x }}", "長" * 90])
def test_text_of_any_kind_is_well_formed(text: str) -> None:
    methods = [headline.Method(text, 9, 0.5, 0.1, False)]
    chart = headline.Headline(text, text, methods, 0.5, 1)
    root = ElementTree.fromstring(headline.svg(chart, alone=True))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script" not in headline.svg(chart)
