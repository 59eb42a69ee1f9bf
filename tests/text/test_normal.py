"""Normalising a reply: reasoning, special tokens, invisible characters, undecodable ones."""

from __future__ import annotations

import unicodedata

import pytest

from japagen.text.normal import REASONS, Normalised, normalise

DOG = "犬が公園を走っている。"


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>\n\n</think>\n\n{DOG}",
        f"<think>何を書くか、考える。</think>{DOG}",
        f"犬について書く。\n</think>\n{DOG}",
        f"<think>まず<think>内側</think>続き</think>{DOG}",
        f"<think>一</think><think>二</think>{DOG}",
        f"{DOG}<think>これでよい。</think>",
        f"<Thinking>考える</Thinking>{DOG}",
        f"<reasoning>考える</reasoning>\n{DOG}",
        f"[THINK]考える[/THINK]{DOG}",
        f"◁think▷考える◁/think▷{DOG}",
        f"<th\u200bink>考える</think>{DOG}",
        f"<|channel|>analysis<|message|>考える。<|end|><|start|>assistant<|channel|>final<|message|>{DOG}",
        f"<|channel|>final<|message|>{DOG}<|return|>",
        f"analysis考える。assistantfinal{DOG}",
    ],
)
def test_reasoning_is_removed(reply: str) -> None:
    text, reason = normalise(reply)
    assert (text.strip(), reason) == (DOG, "")


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>まず、{DOG}",
        "<think>一</think><think>二",
        "<|channel|>analysis<|message|>犬について書く。",
        "<|channel|>analysis<|message|>犬。<|end|><|start|>assistant<|channel|>commentary",
        "analysis犬について書く。",
        "[THINK]犬について",
    ],
)
def test_unfinished_reasoning_is_no_text(reply: str) -> None:
    assert normalise(reply) == Normalised("", "thoughts")


@pytest.mark.parametrize(
    "reply",
    [
        f"{DOG}<|im_end|>",
        f"{DOG}<|eot_id|><|start_header_id|>user<|end_header_id|>次の文",
        f"{DOG}<｜end▁of▁sentence｜>",
        f"{DOG}</s>",
        f"{DOG}<end_of_turn>\n",
        f"<|im_start|>assistant\n{DOG}<|im_end|>",
        f"<s>{DOG}",
        f"[INST]{DOG}",
        f"{DOG}<|im_e",
    ],
)
def test_special_tokens_and_what_follows_them_are_removed(reply: str) -> None:
    text, reason = normalise(reply)
    assert (text.strip(), reason) == (DOG, "")


@pytest.mark.parametrize(
    "sign", list("\u200b\u200e\u202e\u2066\u2060\ufeff\u00ad\u3164\u2800\u034f")
)
@pytest.mark.parametrize("place", [0, 3, len(DOG)])
def test_invisible_characters_are_removed(sign: str, place: int) -> None:
    assert normalise(DOG[:place] + sign + DOG[place:]) == Normalised(DOG)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (unicodedata.normalize("NFD", "ガラスが割れた。"), "ガラスが割れた。"),
        ("か\u200b\u3099く", "がく"),  # a mark is composed once nothing stands between
        ("葛\U000e0100城市", "葛城市"),
        ("\x1b[31m赤い\x1b[0m花\x07", "赤い花"),
        ("\x1b]8;;http://x\x07花\x1b]8;;\x07", "花"),
        ("一行目\r\n二行目\u2028三行目", "一行目\n二行目\n三行目"),
        ("走\x00る\t犬", "走る犬"),
        ("\ud83d\udc36と走る", "🐶と走る"),
    ],
)
def test_unicode(reply: str, text: str) -> None:
    assert normalise(reply) == Normalised(text)


@pytest.mark.parametrize(
    "text",
    [
        "家族👨‍👩‍👧と❤️",
        "a < b で [1] は ◁ だ",
        "全角　空白",
        "<b>太字</b>",
        "値段は<1000円>です。",
        "",
        "\n",
    ],
)
def test_what_belongs_to_the_text_stays(text: str) -> None:
    assert normalise(text) == Normalised(text)


@pytest.mark.parametrize("sign", ["\ufffd", chr(0xD83D), "<unk>", "<0xE3>", "\ufffe"])
def test_undecodable_characters_reject_the_reply(sign: str) -> None:
    assert normalise(DOG[:4] + sign + DOG[4:]) == Normalised("", "damaged")
    assert set(REASONS) == {"thoughts", "damaged"}


def test_normalising_twice_changes_nothing() -> None:
    for reply in (f"<|im_start|>assistant\n{DOG}<|im_end|>", f"</think>{DOG}", "か\u200b\u3099"):
        assert normalise(normalise(reply).text) == normalise(reply)
