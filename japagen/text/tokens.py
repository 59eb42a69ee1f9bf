"""Remove an LLM's special tokens from a reply."""

from __future__ import annotations

import re

from japagen.text.reasoning import ANSWER_NAME

LEFT, RIGHT, BAR = r"(?:<|＜|&lt;)", r"(?:>|＞|&gt;)", r"\s?[|｜]\s?"
# Tokens around a turn, a sequence or a message. What follows one inside a reply is another turn.
TURN_NAME = (
    r"im_(?:start|end|sep)|(?:start|end)_header_id|header_(?:start|end)|eo[tm]_id|endoftext|end"
    r"|(?:start|begin|end)[_▁]of[_▁](?:turn(?:_token)?|text|sentence)|end_response"
    r"|bos|eos|pad|sep|cls|sop|eop|eot|eod|eom|gmask|/?s|sys"
)
# Their names are common words: tokens only with bars, such as <|user|>.
BARRED_NAME = (
    r"start|begin|return|call|turn|message|user|assistant|system|observation|human|tool"
    r"|(?:user|chatbot|system)_token"
)
BRACKET_NAME = r"inst|sep|cls|pad|bos|eos|eot|eod|gmask"
BARRED = rf"{LEFT}{BAR}[^<>|｜\s&]{{1,40}}\s?[|｜]?\s?{RIGHT}|{LEFT}[^<>|｜\s&]{{1,40}}{BAR}{RIGHT}"
TAG = rf"{LEFT}{{1,2}}/?(?:{TURN_NAME}|{ANSWER_NAME}){RIGHT}{{1,2}}"
TOKEN = rf"(?:{BARRED}|{TAG}|\[/?(?:{BRACKET_NAME})\])"
TURN = re.compile(
    rf"(?i){LEFT}{{1,2}}\s?[|｜]?\s?(?:{TURN_NAME}|{BARRED_NAME}|/(?:{ANSWER_NAME}))"
    rf"\s?[|｜]?\s?{RIGHT}{{1,2}}|\[(?:{BRACKET_NAME})\]"
)
# The name of the one who writes, after a token (a header) or at the beginning of a reply.
ROLE = rf"(?:system|user|assistant|model|human)\s*(?:(?={TOKEN})|\n\s*|[:：]\s*)"
SPEAKER = r"(?:(?:assistant|model)[^\S\n]*\n|(?:assistant|chatbot)\s*[:：])\s*"
LEADING = re.compile(rf"(?i)^\s*(?:{TOKEN}\s*(?:{ROLE})?|{SPEAKER})+")
FIRST = re.compile(rf"(?i){TOKEN}")
HALF = re.compile(rf"{LEFT}[|｜][^<>\s]{{0,40}}$")
# They stand for a part of the text that is not there.
LOST = re.compile(
    rf"(?i){LEFT}[|｜]?(?:unk|mask|extra_id_\d+|unused_?\d+|0x[0-9a-f]{{2}})[|｜]?{RIGHT}"
    r"|\[(?:unk|mask|unused_?\d+)\]"
)


def without_tokens(text: str) -> str | None:
    """`text` without special tokens at its ends and without further turns.

    None if a token inside shows that the text is damaged: one that stands for something lost, or an
    unknown one with text on both sides, of which one may be reasoning or the prompt.
    """
    if LOST.search(text):
        return None
    text = HALF.sub("", LEADING.sub("", text))
    token = FIRST.search(text)
    if token is None:
        return text
    after = FIRST.sub("", text[token.end() :])
    if after.strip() and not TURN.fullmatch(token.group()):
        return None
    return text[: token.start()]
