"""Which characters are Japanese, and which are Chinese alone."""

from __future__ import annotations

import re
import unicodedata

# Unicode's ranges of the Han script, compatibility forms and extensions included.
KANJI = "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HAN = re.compile(f"[{KANJI}]+")


def is_japanese(piece: str) -> bool:
    """Whether a vocabulary piece may occur in Japanese text; ASCII, so special tokens, may."""
    text = piece.removeprefix("\u2581")
    if len(text) == 1 and text < "\u0530":
        return True  # one letter is used as a sign: omega and De in kaomoji, e-acute in a brand
    return all(char.isascii() or _is_kana_or_kanji(char) or _is_sign(char) for char in text)


def _is_kana_or_kanji(char: str) -> bool:
    return re.match(f"[\u3040-\u30ff\u31f0-\u31ff{KANJI}]", char) is not None


def _is_sign(char: str) -> bool:
    # Punctuation, symbols, emoji and their marks, without those of other scripts.
    return unicodedata.category(char)[0] in "PSNM" and not "\u0530" <= char < "\u2000"


def has_simplified(text: str) -> bool:
    """Whether `text` has a character that only simplified Chinese writes, such as 们 or 说.

    These are in the Chinese standard GB 2312 and neither in Big5 (traditional Chinese) nor in
    CP932 (Japanese). Kanji that CP932 lacks, such as 剝, 頰 and 麵, are in none or in Big5.
    """
    return not in_charset(text, "cp932") and any(
        in_charset(char, "gb2312")
        and not in_charset(char, "big5")
        and not in_charset(char, "cp932")
        for char in "".join(HAN.findall(text))
    )


def in_charset(text: str, name: str) -> bool:
    """Whether the character set has all characters of `text`."""
    try:
        text.encode(name)
    except UnicodeEncodeError:
        return False
    return True
