"""Characters that show nothing, spaces, marks without a character, and no characters at all."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from japagen.text.normal import Normalised, normalise
from japagen.text.visible import RARE, is_invisible, key, visible, without_lone_marks

DOG = "犬が公園を走っている。"
INVISIBLE = [
    *"\u200b\u200d\u200e\u202e\u2060\u2065\u2066\ufeff\u00ad\u034f\u061c\u180b\u180e\u180f",
    *"\u2800\u3164\uffa0\u115f\u17b4\ufe00\ufe0e\ufe0f\ufff0\ufff5\ufff8\ufff9\ufffc",
    *"\U0001d159\U0001d173\U000e0001\U000e0002\U000e0041\U000e0101\U000e0200",
]


@pytest.mark.parametrize("sign", INVISIBLE, ids=ascii)
@pytest.mark.parametrize("place", [0, 3, len(DOG)])
def test_invisible_characters_are_removed(sign: str, place: int) -> None:
    assert normalise(DOG[:place] + sign + DOG[place:]) == Normalised(DOG)


@pytest.mark.parametrize(
    "sign", list("\ue000\uf8ff\U000f0000\U0010fffd\u0378\ufdd0\ufffe\U0001ffff\U0002fffe\ud83d")
)
def test_private_unassigned_and_half_characters_reject_the_reply(sign: str) -> None:
    assert normalise(DOG[:3] + sign + DOG[3:]) == Normalised("", "damaged")
    assert normalise(f"<think>{sign}</think>{DOG}") == Normalised(DOG)


def test_emoji_and_kanji_newer_than_this_python_stay() -> None:
    for new in ("\U0001fae8", "\U0001faff", "\U0002ffe0", "\U000323b0"):
        assert visible(f"犬{new}") == f"犬{new}"


@pytest.mark.parametrize("space", list("\u00a0\u1680\u2000\u2003\u2009\u202f\u205f"), ids=ascii)
def test_spaces_are_one_space(space: str) -> None:
    assert visible(f"犬{space}猫\u3000鳥") == "犬 猫\u3000鳥"


@pytest.mark.parametrize("mark", list("\u3099\u309a\u0301\u0e31\u093e\u20e3"), ids=ascii)
@pytest.mark.parametrize("before", ["", "犬 ", "犬\n", "犬\u3000", "犬\u00a0", "\u200b"])
def test_a_mark_without_a_character_is_removed(mark: str, before: str) -> None:
    assert visible(f"{before}{mark}{mark}猫") == visible(f"{before}猫")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("走\u20ddる", "走る"),
        ("走\u20e3る", "走る"),
        ("3\ufe0f\u20e3番", "3\u20e3番"),
        ("か\u20dd\u3099", "が"),
        ("犬\u3099", "犬\u3099"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f"),
        ("🐶\u200d。", "🐶。"),
        ("🐶\u200d\ufe0f。", "🐶\ufe0f。"),
        ("🐶\u200d", "🐶"),
        ("´\ufe0f｀\u200d", "´｀"),
    ],
)
def test_marks_and_joiners(text: str, expected: str) -> None:
    assert visible(text) == visible(visible(text)) == expected


def test_the_short_cut_for_usual_characters_changes_nothing() -> None:
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        if RARE.search(char) is None:
            assert not is_invisible(char)
            assert unicodedata.category(char)[0] not in "MC" or char == "\n" or code > 0x1F000
            assert unicodedata.category(char)[0] != "Z" or char in " \u3000"


def test_every_format_and_ignorable_character_is_removed() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == "Cf" or 0xE0000 <= code <= 0xE0FFF:
            assert visible(f"犬{chr(code)}猫") == "犬猫"


def test_a_key_is_blind_to_what_a_reader_does_not_see() -> None:
    assert key("❤\ufe0fと👩\u200d🚀") == key("❤と👩🚀")
    assert key("葛\U000e0100城") == key("葛城")
    assert key("犬が\u00a0走る") == key("犬が 走る")
    assert key("犬が走る") != key("犬が 走る")


def test_marks_at_the_beginning() -> None:
    assert without_lone_marks("\u3099\u0301犬\u0301") == "犬\u0301"
    assert without_lone_marks("\u3099") == without_lone_marks("") == ""
