from __future__ import annotations

from pathlib import Path

import pytest

from japagen.config.schema import Student
from japagen.gold.example import Example
from japagen.student import tiny, tokens
from japagen.student.tokens import Tokens

STUDENT = Student(name="tiny", pretrained="random:tiny", max_length=16)
ROWS = [Example(str(n), ("短い文" + "長い" * n, "犬"), "a") for n in range(9)]


def test_tokens_are_kept_for_the_next_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Tokens(tiny.characters(16), STUDENT, tmp_path).columns(ROWS)
    assert first == Tokens(tiny.characters(16), STUDENT, None).columns(ROWS)
    assert first[1] > 0
    (path,) = tmp_path.iterdir()

    def never(*_: object) -> None:
        raise AssertionError("tokenised again")

    with monkeypatch.context() as patch:
        patch.setattr(tokens, "tokenise", never)
        again = Tokens(tiny.characters(16), STUDENT, tmp_path)
        assert again.columns(list(reversed(ROWS)))[0]["input_ids"] == list(
            reversed(first[0]["input_ids"])
        )
        assert again.columns(ROWS[:3]) == (
            {name: column[:3] for name, column in first[0].items()},
            0,
        )
    path.write_bytes(path.read_bytes()[:-30])
    assert Tokens(tiny.characters(16), STUDENT, tmp_path).columns(ROWS) == first


def test_other_options_texts_or_tokenizers_give_other_files(tmp_path: Path) -> None:
    for student in (
        STUDENT,
        Student(name="tiny", max_length=12),
        Student(name="tiny", max_length=16, prefix="問:"),
    ):
        Tokens(tiny.characters(student.max_length), student, tmp_path).columns(ROWS)
    Tokens(tiny.characters(16), STUDENT, tmp_path).columns(ROWS[:5])
    other = tiny.characters(16)
    other.add_tokens(["長い"])
    Tokens(other, STUDENT, tmp_path).columns(ROWS)
    assert len(list(tmp_path.iterdir())) == 5


def test_the_oldest_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KEPT", 2)
    for number in range(1, 5):
        Tokens(tiny.characters(16), STUDENT, tmp_path).columns(ROWS[:number])
    assert len(list(tmp_path.glob("*.npz"))) == 2


@pytest.mark.parametrize("texts", [1, 2])
def test_tokens_are_cut_to_max_length(texts: int) -> None:
    student = Student(name="tiny", max_length=16, prefix="問:")
    tokenizer = tiny.characters(16)
    examples = [
        Example("0", ("短い文",) * texts, "a"),
        Example("1", ("とても長い文" * 9,) * texts, "a"),
    ]
    columns, cut = Tokens(tokenizer, student, None).columns(examples)
    assert cut == 1
    assert [len(ids) for ids in columns["input_ids"]] == [7 if texts == 1 else 11, 16]
    assert (
        tokenizer.decode(columns["input_ids"][0]).replace(" ", "").startswith("[CLS]問:短い文[SEP]")
    )
    assert [max(ids) for ids in columns["token_type_ids"]] == [texts - 1] * 2


@pytest.mark.parametrize(
    ("texts", "share"),
    [(["犬が走る。"], 0.0), (["犬😀が走る。"], 1 / 6), (["😀😀", "猫犬"], 0.5), (["😀"], 1.0)],
)
def test_the_share_of_unknown_tokens_leaves_out_special_ones(
    texts: list[str], share: float
) -> None:
    rows = [Example(str(n), (text,), "a") for n, text in enumerate(texts)]
    found = Tokens(tiny.characters(16), STUDENT, None).unknown(rows)
    assert found == pytest.approx(share)


def test_a_tokenizer_whose_unknown_token_has_another_role_knows_every_text() -> None:
    tokenizer = tiny.characters(16)
    tokenizer.unk_token = tokenizer.sep_token
    assert Tokens(tokenizer, STUDENT, None).unknown(ROWS) == 0.0
