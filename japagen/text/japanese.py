"""Which characters are Japanese."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def is_japanese(piece: str) -> bool:
    """Whether Japanese text may need it. Special tokens are ASCII and stay: ids 0 to 3 do too."""
    text = piece.removeprefix("\u2581")
    if len(text) == 1 and text < "\u0530":
        return True  # a letter alone is a sign: omega and De in kaomoji, e-acute in a brand
    return all(char.isascii() or _is_kana_or_kanji(char) or _is_sign(char) for char in text)


def _is_kana_or_kanji(char: str) -> bool:
    kana, kanji = "\u3040-\u30ff\u31f0-\u31ff", "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff"
    return re.match(f"[{kana}{kanji}\U00020000-\U0003ffff]", char) is not None


def _is_sign(char: str) -> bool:
    # Punctuation, symbols, emoji and their marks; between the two bounds lie other scripts' own.
    return unicodedata.category(char)[0] in "PSNM" and not "\u0530" <= char < "\u2000"
