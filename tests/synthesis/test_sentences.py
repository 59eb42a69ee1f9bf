"""The first sentences of a Japanese text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.task import Clean
from japagen.synthesis.clean import clean
from japagen.synthesis.sentences import completed, first_sentences, is_open, stops


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [
        ("犬がいる。猫もいる。", 1, "犬がいる。"),
        ("犬がいる。猫もいる。", 2, "犬がいる。猫もいる。"),
        ("犬がいる！？猫もいる。", 1, "犬がいる！？"),
        ("「おいしい。また来る。」と言った。次の文。", 1, "「おいしい。また来る。」と言った。"),
        ("静かな宿（駅から近い。）でした。良い。", 1, "静かな宿（駅から近い。）でした。"),
        ("終わりの印がない", 1, "終わりの印がない"),
        ("犬がいる。」猫もいる。", 1, "犬がいる。」"),
        ("値段は3.5倍です。高い。", 1, "値段は3.5倍です。"),
        ("「閉じない引用。続き。", 1, "「閉じない引用。続き。"),
        ("見出し\n一文目。二文目。", 1, "見出し\n一文目。"),
        ("見出し\n一文目だけ", 1, "見出し\n一文目だけ"),
        ("", 1, ""),
    ],
)
def test_first_sentences(text: str, number: int, expected: str) -> None:
    assert first_sentences(text, number)[0] == expected


@given(st.text(alphabet="あ犬。！？「」（）\n a.", max_size=40), st.integers(1, 4))
def test_what_is_kept_is_the_beginning_and_cutting_twice_changes_nothing(
    text: str, number: int
) -> None:
    kept, cut = first_sentences(text, number)
    assert text.startswith(kept)
    assert cut == bool(text[len(kept) :].strip()) or not cut
    assert first_sentences(kept, number)[0] == kept


def test_a_stop_string_that_the_engine_left_out_is_put_back() -> None:
    assert stops(1) == ("。",)
    assert stops(2) == stops(None) == ()
    assert completed("部屋が広い", 1) == "部屋が広い。"
    assert completed("部屋が広い\n", 1) == "部屋が広い。"
    assert completed("部屋が広い！", 1) == "部屋が広い！"
    assert completed("部屋が広い", None) == "部屋が広い"
    assert completed("「部屋が広い", 1) == "部屋が広い。", "the whole reply was a quotation"
    assert completed("店員は「広い", 1) == "店員は「広い"
    assert is_open("「部屋が広い")
    assert not is_open("「部屋」が広い")


@pytest.mark.parametrize(
    ("reply", "finish", "text", "reason"),
    [
        ("朝食がとてもおいしいです", "stop", "朝食がとてもおいしいです。", ""),
        ("朝食がおいしい。部屋も広い。また", "length", "朝食がおいしい。", ""),
        ("朝食がとてもおいし", "length", "朝食がとてもおいし", "truncated"),
        ("係の人は「朝食がおいしい", "stop", "係の人は「朝食がおいしい", "truncated"),
        ("「朝食がおいしい", "stop", "朝食がおいしい。", ""),
    ],
)
def test_a_reply_is_cut_to_one_sentence(reply: str, finish: str, text: str, reason: str) -> None:
    cleaned = clean(reply, finish, Clean(sentences=1))
    assert (cleaned.text, cleaned.reason) == (text, reason)
