"""Normalise a reply: remove reasoning, special tokens and invisible characters."""

from __future__ import annotations

import re
from typing import NamedTuple

from japagen.text.reasoning import UNFINISHED, without_reasoning
from japagen.text.tokens import without_leading, without_tokens
from japagen.text.visible import DAMAGED, visible

REASONS = {
    "thoughts": "the reply ends inside the LLM's reasoning, or is nothing else",
    "damaged": "a character could not be decoded or is not one of Unicode's, or a special token "
    "or reasoning stands inside the text: U+FFFD, half a surrogate pair, <unk>, private use",
}
# Of channels and speakers; a text may begin with one if tokens were dropped.
NAMES = re.compile(r"(?i)\s*(?:assistant|chatbot|model|analysis|commentary)")


class Normalised(NamedTuple):
    """The text, or "" and the reason why there is none (a key of REASONS)."""

    text: str
    reason: str = ""


def normalise(reply: str) -> Normalised:
    """The text of a reply in Unicode NFC, or the reason to reject the reply.

    Removes reasoning blocks, special tokens and what follows them, terminal escapes, control
    characters but \\n, invisible characters and marks of writing direction. A reply that ends
    inside its reasoning has no text, and so has one with a character that cannot be read. Nothing
    is cut out of the middle: if reasoning or a token stands there, the reply is damaged.
    """
    text = visible(reply)
    if may_have_markup(text):
        answer = without_reasoning(text)
        if answer is not None:
            answer = without_leading(answer)
        if answer is None or answer.lstrip().startswith(UNFINISHED):
            return Normalised("", "thoughts")
        found = without_tokens(answer)
        if found is None:
            return Normalised("", "damaged")
        # What was cut out may have stood between a character and its mark.
        text = visible(found)
    return Normalised("", "damaged") if DAMAGED in text else Normalised(text)


def may_have_markup(text: str) -> bool:
    """Whether `text` may have tags, special tokens or the name of a channel or speaker."""
    # For almost all texts, these are faster than one pattern.
    return (
        "<" in text
        or "[" in text
        or "＜" in text
        or "［" in text
        or "◁" in text
        or "&lt;" in text
        or "assistant" in text
        or (text[:1].isascii() and NAMES.match(text) is not None)
    )
