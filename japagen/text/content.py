"""What a Japanese text says: its content words, and its letters without punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from japagen.text.japanese import KANJI

LONGEST = 10  # characters; a longer run is a name or a list
# Two or more kanji, or two or more katakana; one kanji only before a particle or a comma, because
# elsewhere it is mostly the stem of a verb.
WORD = re.compile(rf"[{KANJI}]{{2,}}|[ァ-ヺー]{{2,}}|[{KANJI}](?=[がをはのにでと、。])")
NO_LETTER = re.compile(r"[\W_]+")


def letters(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the letters and digits of each text in NFKC; a text that has none stays as it is."""
    forms = [unicodedata.normalize("NFKC", text) for text in texts]
    return tuple(NO_LETTER.sub("", form) or form for form in forms)


def words(text: str) -> set[str]:
    """Return the different content words of a text.

    Runs of one script stand for words: most nouns are such runs, and so are the stems of many
    adjectives. Unlike a morphological analyser, this needs no dictionary, whose versions would
    give different words for the same text.
    """
    return {word for word in WORD.findall(text) if len(word) <= LONGEST}
