"""Predictions with texts, and the page of mistakes."""

from __future__ import annotations

from japagen.config.task import Task
from japagen.gold import mistakes
from japagen.gold.example import Example

TASK = Task(name="t", inputs=["text"], labels=["a", "b"])
LEVELS = Task(name="s", inputs=["text"], labels=["0", "5"], kind="regression")
EXAMPLES = [Example(str(n), (f"文{n}|<b>",), "a") for n in range(4)]


def test_the_most_confident_mistakes_come_first() -> None:
    rows = [
        {"id": "0", "gold": "a", "predicted": "b", "probability": 0.6},
        {"id": "1", "gold": "a", "predicted": "a", "probability": 0.9},
        {"id": "2", "gold": "a", "predicted": "b", "probability": 0.95},
        {"id": "3", "gold": "a", "predicted": None},
    ]
    lines = mistakes.markdown(rows, EXAMPLES, TASK).splitlines()
    assert lines[2] == "3 of 4 predictions are wrong; the first 3:"
    assert lines[-3] == r"| a | b | 0.95 | 文2\|\<b\> |"
    assert [line.split("文")[1][0] for line in lines[-3:]] == ["2", "0", "3"]


def test_the_largest_errors_of_a_regression_come_first() -> None:
    rows = [
        {"id": "0", "gold": "1.0", "predicted": 1.5},
        {"id": "1", "gold": "1.0", "predicted": 4.0},
        {"id": "2", "gold": "1.0", "predicted": 1.0},
    ]
    lines = mistakes.markdown(rows, EXAMPLES, LEVELS).splitlines()
    assert lines[-2:] == [r"| 1.0 | 4.0 | 文1\|\<b\> |", r"| 1.0 | 1.5 | 文0\|\<b\> |"]


def test_no_more_than_fifty_are_shown_and_long_texts_are_cut() -> None:
    examples = [Example(str(n), ("長" * 400,), "a") for n in range(60)]
    rows = [{"id": str(n), "gold": "a", "predicted": "b", "probability": 0.5} for n in range(60)]
    page = mistakes.markdown(rows, examples, TASK)
    assert page.count("\n| a |") == 50
    assert "長" * 300 + "… |" in page


def test_predictions_have_their_texts() -> None:
    rows = [{"id": "1", "gold": "a", "predicted": "b", "probability": 0.5}]
    assert list(mistakes.with_texts(rows, EXAMPLES, TASK)) == [{**rows[0], "text": "文1|<b>"}]
