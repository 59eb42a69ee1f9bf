"""Content words of a Japanese text, by its scripts."""

from __future__ import annotations

import re

from japagen.text.japanese import KANJI

LONGEST = 10  # characters; a longer run is a name or a list
# Two or more kanji, or two or more katakana; one kanji only before a particle or a comma, because
# elsewhere it is mostly the stem of a verb.
WORD = re.compile(rf"[{KANJI}]{{2,}}|[ァ-ヺー]{{2,}}|[{KANJI}](?=[がをはのにでと、。])")


def words(text: str) -> set[str]:
    """Return the different content words of a text.

    Runs of one script stand for words: most nouns are such runs, and so are the stems of many
    adjectives. Unlike a morphological analyser, this needs no dictionary, whose versions would
    give different words for the same text.
    """
    return {word for word in WORD.findall(text) if len(word) <= LONGEST}
