"""Charts as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from japagen.report import chart
from japagen.report.chart import Chart, Point, Series


@pytest.mark.parametrize(
    "points",
    [[Point(1, 0.5)], [Point(3, 0.0), Point(3, 0.0)], [Point(1, -0.5, 0.1), Point(1000, 0.5, 0.2)]],
)
@pytest.mark.parametrize("line", [True, False])
def test_a_chart_is_an_svg_file_of_its_own(points: list[Point], line: bool) -> None:
    drawn = Chart(
        "天気 & <b>",
        "x",
        "mcc",
        [Series("少ない <i>" * 20, 9, points)],
        line=line,
        log=line,
        rule=("majority", 0.2),
    )
    root = ElementTree.fromstring(chart.svg(drawn, alone=True))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "天気 & <b>" in (root.find("{*}title").text or "")  # type: ignore[union-attr]
    assert "nan" not in chart.svg(drawn)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("短い", "短い"), ("長" * 30, "長" * 21 + "…"), ("a" * 43, "a" * 42 + "…"), ("", "")],
)
def test_names_fit_into_the_legend(name: str, shown: str) -> None:
    assert chart.cut(name) == shown


def test_text_of_any_kind_is_well_formed() -> None:
    text = "\x00\x1b\ud800\u202e<&\"'{{ x }}"
    drawn = Chart(text, text, text, [Series(text, 1, [Point(1, 0.5)])], rule=(text, 0.5))
    ElementTree.fromstring(chart.svg(drawn, alone=True))
