from __future__ import annotations

from pathlib import Path

import pytest

from japagen.config.schema import Student
from japagen.gold.example import Example
from japagen.student import pretrained, tokens
from japagen.student.tokens import Tokens

STUDENT = Student(name="tiny", pretrained="random:tiny", max_length=16)
ROWS = [Example(str(n), ("短い文" + "長い" * n, "犬"), "a") for n in range(9)]


def test_tokens_are_kept_for_the_next_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Tokens(pretrained.characters(16), STUDENT, tmp_path).columns(ROWS)
    assert first == Tokens(pretrained.characters(16), STUDENT, None).columns(ROWS)
    assert first[1] > 0
    (path,) = tmp_path.iterdir()

    def never(*_: object) -> None:
        raise AssertionError("tokenised again")

    with monkeypatch.context() as patch:
        patch.setattr(tokens, "tokenise", never)
        again = Tokens(pretrained.characters(16), STUDENT, tmp_path)
        assert again.columns(list(reversed(ROWS)))[0]["input_ids"] == list(
            reversed(first[0]["input_ids"])
        )
        assert again.columns(ROWS[:3]) == (
            {name: column[:3] for name, column in first[0].items()},
            0,
        )
    path.write_bytes(path.read_bytes()[:-30])
    assert Tokens(pretrained.characters(16), STUDENT, tmp_path).columns(ROWS) == first


def test_other_options_texts_or_tokenizers_give_other_files(tmp_path: Path) -> None:
    for student in (
        STUDENT,
        Student(name="tiny", max_length=12),
        Student(name="tiny", max_length=16, prefix="問:"),
    ):
        Tokens(pretrained.characters(student.max_length), student, tmp_path).columns(ROWS)
    Tokens(pretrained.characters(16), STUDENT, tmp_path).columns(ROWS[:5])
    other = pretrained.characters(16)
    other.add_tokens(["長い"])
    Tokens(other, STUDENT, tmp_path).columns(ROWS)
    assert len(list(tmp_path.iterdir())) == 5


def test_the_oldest_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KEPT", 2)
    for number in range(1, 5):
        Tokens(pretrained.characters(16), STUDENT, tmp_path).columns(ROWS[:number])
    assert len(list(tmp_path.glob("*.npz"))) == 2
