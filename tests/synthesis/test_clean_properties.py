"""Cleaning any reply: it never fails, and an accepted text obeys the rules and stays as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from japagen.config.task import Clean
from japagen.synthesis import clean
from japagen.synthesis.sentences import completed
from japagen.text import normal
from japagen.text.visible import (
    EMOJI_JOINERS,
    EMOJI_STYLE,
    GROWING,
    is_emoji,
    is_invisible,
    visible,
)

QUICK, LONG = settings(max_examples=120, deadline=None), settings(max_examples=4000, deadline=None)

ASKED = st.sampled_from(
    [
        "",
        "写真の説明文を一つ書いてください。",
        "次の形で書いてください。\n形：（場所）で（人か動物か物）が（動作）ています。",
    ]
)
FINISH = st.sampled_from(["stop", "stop", "length", "eos", "content_filter", "", "tool_calls", "x"])
WORDS = st.sampled_from(
    [
        *(
            "犬が公園を走る",
            "猫は静かに眠っていた",
            "大きな",
            "スポーツ大会が開かれた",
            "（場所）で",
        ),
        *(
            "。",
            "、",
            "！",
            "？",
            "「",
            "」",
            "『",
            "』",
            "“",
            "【",
            "】",
            "（",
            "）",
            "'",
            '"',
            "`",
        ),
        *("\n", "\r\n", "\u2028", " ", "\u3000", "- ", "・", "1. ", "（1）", "### ", "**", "```"),
        *("例文：", "はい、", "I ", "<think>", "</think>", "<|im_end|>", "<s>", "</s>", "[INST]"),
        *("<|channel|>", "final", "<|message|>", "analysis", "assistantfinal", "<unk>", "\ufffd"),
        *("<|thinking|>", "<|/thinking|>", "<|x|>", "<answer>", "</answer>", "[MASK]", "[SEP]"),
        *("<S>", "</S>", "[cot]", "[/cot]", "[PAD]", "<end>", "<text>", "</text>", "＜思考＞"),
        *("<|channel>thought\n", "<channel|>", "assistant\n", "＜think＞", "&lt;", "&gt;"),
        *("\u180b", "\ufff5", "\ue000", "\ufdd0", "\u0378", "\u3099", "\u20dd", "\u20e3", "\u00a0"),
        *("\u200b", "\u200d", "\ufe0f", "\u202e", "\x1b[31m", "\x07", "\x00", "\u3164", "か\u3099"),
        *("👩", "😀", "🏽", "\ud83d", "\ude00", "说", "abc", "１２", "<", "|>", "**s>", "#東京"),
    ]
)
TEXTS = st.lists(WORDS | st.text(max_size=3), max_size=12).map("".join) | st.text(
    st.characters(), max_size=60
)
RULES = st.builds(
    Clean,
    min_chars=st.integers(0, 8),
    max_chars=st.integers(5, 60),
    min_japanese=st.sampled_from([0.0, 0.6, 1.0]),
    lines=st.integers(1, 3),
    sentences=st.sampled_from([None, 1, 2]),
    forbidden=st.sampled_from([[], ["スポーツ"]]),
)


def assert_judged(reply: str, finish: str, rules: Clean, asked: str) -> None:
    found = clean.clean(reply, finish, rules, asked)
    event(found.reason or "accepted")
    assert found.reason == "" or found.reason in clean.REASONS
    if found.reason:
        return
    # A form loses its brackets after its length was measured.
    least = 0 if clean.blanks(asked) else rules.min_chars
    assert least <= len(found.text) <= rules.max_chars
    assert found.text.count("\n") < rules.lines
    assert found.text == found.text.strip()
    assert not any(word in found.text for word in rules.forbidden)
    assert unicodedata.is_normalized("NFC", found.text)
    assert shows_all(found.text), ascii(found.text)
    # A sentence that ended with its line looks like one whose stop string was taken away.
    if completed(found.text, rules.sentences) == found.text:
        assert clean.clean(found.text, "stop", rules, asked) == found


def shows_all(text: str) -> bool:
    """Whether every character can be seen, is a space or a line end, or belongs to an emoji."""
    return all(
        char in "\n\u3000 "
        or (char in EMOJI_JOINERS and (is_emoji(before) or before == EMOJI_STYLE))
        or is_seen(char, before)
        for before, char in zip(["\n", *text], text, strict=False)
    )


def is_seen(char: str, before: str) -> bool:
    category = unicodedata.category(char)
    if category == "Cn":
        return GROWING.match(char) is not None
    if category[0] in "CZ" or is_invisible(char):
        return False
    return category[0] != "M" or not before.isspace()


@given(TEXTS, FINISH, RULES, ASKED)
@QUICK
def test_any_reply_is_judged(reply: str, finish: str, rules: Clean, asked: str) -> None:
    assert_judged(reply, finish, rules, asked)


@pytest.mark.slow
@given(TEXTS, FINISH, RULES, ASKED)
@LONG
def test_many_replies_are_judged(reply: str, finish: str, rules: Clean, asked: str) -> None:
    assert_judged(reply, finish, rules, asked)


@given(TEXTS)
@QUICK
def test_normalising_twice_changes_nothing_more(reply: str) -> None:
    found = normal.normalise(reply)
    if not found.reason:
        assert shows_all(found.text)
        again = visible(found.text)
        assert again == found.text
