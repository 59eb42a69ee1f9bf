"""The page and the Markdown of a dataset's quality."""

from __future__ import annotations

import pytest

from japagen.gold.example import Example
from japagen.quality import chart, doubt, markdown, measure, page
from japagen.quality.data import Data
from japagen.quality.measured import Measured
from tests.quality import plant
from tests.report.test_page import Page

ODD = "<b>安い|</b>"


@pytest.fixture(scope="module")
def measured() -> Measured:
    """A dataset with a text that is markup, doubted rows and a map."""
    rows = plant.pairs(60, 1)
    rows[4] = Example(rows[4].id, (ODD, rows[4].texts[1]), rows[4].label)
    found = measure.cheap(Data(plant.PAIRS, rows, plant.pairs(80, 0)))
    counts = {("same", "same"): 20, ("same", "other"): 10, ("other", "other"): 30}
    one = doubt.Doubt(4, rows[4].label, "other", 0.125)
    found.doubts = doubt.Doubts([one], counts, {"same": 30, "other": 30})
    found.metrics |= found.doubts.shares()
    found.suspect(4, "rather other, p(same) = 0.12")
    found.map = {"gold": [(0.0, 0.1), (0.2, 0.3)], "synthetic": [(0.5, 0.1), (0.4, 0.2)]}
    found.notes.append("words: not measured. fugashi is not installed")
    return found


def test_the_page_is_whole_escaped_and_needs_no_network(measured: Measured) -> None:
    text = page.html(measured, "fake-<set>")
    found = Page(text)
    assert not found.open
    assert "<script" not in text.lower()
    assert "<b>安い" not in text
    assert ODD in found.words
    assert 'href="http' not in text
    assert "url(" not in text.replace("url(data:", "")
    ids = [given["id"] for _, given in found.seen if "id" in given]
    assert len(ids) == len(set(ids)) > 5
    assert text.index("Verdicts</h2>") < text.index("Measures</h2>")
    assert "fugashi is not installed" in found.words


def test_the_page_shows_charts_confusion_and_rows(measured: Measured) -> None:
    text = page.html(measured, "set")
    assert text.count("<figure>") == 3  # lengths, overlaps, map
    assert page.confusion(measured) == [
        ("same", [(20, 67), (10, 33)]),
        ("other", [(0, 0), (30, 100)]),
    ]
    assert {label: len(rows) for label, rows in page.random_rows(measured).items()} == {
        "same": 10,
        "other": 10,
    }
    first = page.suspicious_rows(measured)["same"][0]
    assert first.texts[0] == ODD
    assert first.reasons == "rather other, p(same) = 0.12"


def test_a_histogram_has_shares_that_sum_to_one() -> None:
    drawn = chart.histogram("Length", "characters", {"a": [1, 2, 3, 50, 900]}, 0, 50)
    (series,) = drawn.series
    assert sum(point.y for point in series.points) == pytest.approx(1)
    assert series.points[0].y == pytest.approx(0.6)
    assert series.points[-1].y == pytest.approx(0.4)  # with what is beyond the axis


def test_the_markdown_begins_with_the_verdicts(measured: Measured) -> None:
    text = markdown.report(measured, "fake_set")
    assert text.startswith("# Quality of fake\\_set\n\n60 rows.\n\n## Verdicts\n")
    assert "\\<b\\>安い\\|\\</b\\>" in text
    assert "| near\\_duplicates | " in text


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("gold", [0, 1, 40])
def test_few_rows_make_a_page_too(number: int, gold: int) -> None:
    data = Data(plant.PAIRS, plant.pairs(number, 1), plant.pairs(gold, 0))
    found = measure.cheap(data)
    assert found.metrics["rows"] == number
    assert not Page(page.html(found, "set")).open
    assert markdown.report(found, "set")


def test_labels_of_which_one_has_no_gold_row() -> None:
    rows = [row for row in plant.meals(20, 0) if row.label == "good"]
    gold = [row for row in plant.meals(20, 1) if row.label == "bad"]
    found = measure.cheap(Data(plant.TASK, rows, gold))
    assert "length_distance" not in found.metrics
    assert page.html(found, "set")
