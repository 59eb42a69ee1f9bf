"""Verdicts from measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.quality import doubt
from japagen.quality.data import Data
from japagen.quality.measured import Measured
from japagen.quality.telling import Telling
from japagen.quality.verdict import percent, verdicts
from tests.quality import plant

GOLD = plant.meals(48, 0)


def lines(
    metrics: Mapping[str, float],
    task: Task = plant.TASK,
    rows: Sequence[Example] = GOLD,
    gold: Sequence[Example] = GOLD,
) -> dict[bool, list[str]]:
    """Whether it is a fault -> the verdicts on these measures."""
    found = Measured(Data(task, rows, gold), {"near_duplicates": 0.0, **metrics})
    found.doubts = doubt.Doubts(checked={"good": 50, "bad": 50})
    found.metrics.setdefault("issues", 0.0)
    every = verdicts(found)
    assert every == sorted(every, key=lambda one: not one.is_fault)
    return {kind: [one.text for one in every if one.is_fault == kind] for kind in (True, False)}


@pytest.mark.parametrize(
    ("metrics", "fault"),
    [
        ({"diversity": 0.1, "gold_diversity": 0.3}, "diversity: a third of gold's"),
        ({"diversity": 0.01, "gold_diversity": 0.3}, "diversity: almost none of gold's"),
        ({"near_duplicates": 0.12, "gold_near_duplicates": 0.01}, "duplicates: 12 % of the rows"),
        (
            {"issues/bad": 0.46, "gold_issues/bad": 0.02},
            "labels: 46 % of 'bad' are doubted (gold: 2.0 %)",
        ),
        ({"label_correctness": 0.5}, "labels: the student agrees with 50 % of the labels"),
        ({"llm_agreement": 0.6}, "labels: the LLM asked again agrees with 60 % of the labels"),
        ({"japanese/bad": 0.7}, "language: 30 % of 'bad' have a text without kana or kanji"),
        (
            {"last_only": 0.9, "gold_last_only": 0.5},
            "shortcuts: a classifier that sees only the last text of a pair scores 0.90",
        ),
        (
            {"overlap/bad": 0.77, "gold_overlap/bad": 0.28},
            "overlap: the second texts of 'bad' share 77 % of their 2-grams with the first "
            "(gold: 28 %)",
        ),
        ({"overlap/bad": 0.1, "gold_overlap/bad": 0.6}, "overlap: the second texts of 'bad' share"),
        ({"two_sample_auc": 0.97}, "distance: a classifier tells a synthetic row"),
        ({"coverage": 0.3, "gold_coverage": 0.9}, "distance: the rows cover 30 % of gold"),
        ({"in_gold": 0.01}, "leakage: 1.0 % of the rows are gold test rows"),
    ],
)
def test_each_fault_has_its_line(metrics: Mapping[str, float], fault: str) -> None:
    (line,) = lines(metrics)[True]
    assert line.startswith(fault)


@pytest.mark.parametrize(
    "metrics",
    [
        {"diversity": 0.28, "gold_diversity": 0.3},
        {"near_duplicates": 0.3, "gold_near_duplicates": 0.28},
        {"issues/bad": 0.3, "gold_issues/bad": 0.25},
        {"label_correctness": 0.5, "student_accuracy": 0.6},  # the student is often wrong itself
        {"japanese/bad": 0.7, "gold_japanese/bad": 0.65},
        {"last_only": 0.9, "gold_last_only": 0.85},
        {"overlap/bad": 0.87, "gold_overlap/bad": 0.65},
        {"overlap/bad": 0.87},  # no gold pairs of this label
        {"two_sample_auc": 0.7},
        {"coverage": 0.8, "gold_coverage": 0.9},
        {"in_gold": 0.0},
    ],
)
def test_what_is_like_gold_is_no_fault(metrics: Mapping[str, float]) -> None:
    assert lines(metrics)[True] == []


SMALL = plant.meals(16, 0)  # rows, half of each label


@pytest.mark.parametrize(
    ("metrics", "rows", "gold"),
    [
        # 24 rows of each label in GOLD, 12 or fewer in the others.
        ({"last_only": 0.7, "gold_last_only": 0.5}, plant.meals(24, 0), GOLD),
        ({"overlap/bad": 0.8, "gold_overlap/bad": 0.2}, SMALL, GOLD),
        ({"overlap/bad": 0.8, "gold_overlap/bad": 0.2}, GOLD, SMALL),
        ({"japanese/bad": 0.7}, GOLD, SMALL),
        ({"japanese/bad": 0.9}, plant.meals(20, 0), GOLD),  # one row of ten
        ({"two_sample_auc": 0.97}, GOLD, plant.meals(6, 0)),
        (
            {
                "near_duplicates": 0.3,
                "compared_near_duplicates": 1 / 16,
                "gold_near_duplicates": 0.0,
            },
            GOLD,
            SMALL,
        ),
        # One of a generator's rows repeats the more, the more rows there are.
        (
            {
                "near_duplicates": 0.2,
                "compared_near_duplicates": 0.03,
                "gold_near_duplicates": 0.02,
            },
            GOLD,
            GOLD,
        ),
    ],
)
def test_what_few_rows_show_by_chance_is_no_fault(
    metrics: Mapping[str, float], rows: Sequence[Example], gold: Sequence[Example]
) -> None:
    assert lines(metrics, rows=rows, gold=gold)[True] == []


@pytest.mark.parametrize(("number", "is_fault"), [(10, False), (20, True)])
def test_one_doubted_label_more_than_in_gold_is_no_fault(number: int, is_fault: bool) -> None:
    found = Measured(Data(plant.TASK, GOLD, GOLD), {"near_duplicates": 0.0, "issues": 0.1})
    found.metrics["issues/bad"] = 0.15
    found.doubts = doubt.Doubts(checked={"bad": number})
    assert any(one.is_fault for one in verdicts(found)) == is_fault


def test_without_gold_nothing_is_said_about_gold() -> None:
    found = Measured(Data(plant.TASK, GOLD), {"near_duplicates": 0.0, "issues": 0.0})
    found.telling = {"bad": [Telling("明日", 0.48, 0.01)]}
    assert [one.text for one in verdicts(found)] == [
        "duplicates: 0 % of the rows repeat an earlier row or nearly so",
        "shortcuts: no n-gram is in 50 % more of a label's rows than of the others",
    ]


def test_a_student_without_a_score_above_chance_is_measured_by_its_accuracy() -> None:
    metrics = {"label_correctness": 0.3, "student_score": 0.0, "student_accuracy": 0.5}
    (line,) = lines(metrics)[True]
    assert (
        line == "labels: the student agrees with 30 % of the labels; its accuracy on gold is 0.50"
    )


def test_a_shortcut_is_said_to_hide_wrong_labels() -> None:
    found = Measured(Data(plant.TASK, GOLD, GOLD), {"near_duplicates": 0.0, "issues": 0.0})
    found.doubts = doubt.Doubts(checked={"good": 50, "bad": 50})
    found.telling = {"bad": [Telling("明日", 0.83, 0.01)]}
    found.metrics["gold_telling/bad"] = 0.2
    texts = [one.text for one in verdicts(found)]
    assert texts[0] == (
        "shortcuts: the label 'bad' can be read off '明日', which is in 83 % of its rows and in "
        "1.0 % of the others (gold's most telling n-gram: 20 % apart)"
    )
    assert "labels: 0 % are doubted; a shortcut can hide wrong labels" in texts
    found.metrics["gold_telling/bad"] = 0.7  # as telling a word is in gold
    assert not [one for one in verdicts(found) if one.is_fault]


def test_percentages_of_small_shares_have_a_digit() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.5, 1.0)] == ["0 %", "0.4 %", "50 %", "100 %"]
