"""Remove an LLM's special tokens from a reply."""

from __future__ import annotations

import re

from japagen.text.reasoning import BLOCK, UNFINISHED

LEFT, RIGHT, BAR = r"(?:<|＜|&lt;)", r"(?:>|＞|&gt;)", r"\s?[|｜]\s?"
# Tokens around a turn, a sequence or a message. What follows one inside a reply is another turn.
TURN_NAME = (
    r"im_(?:start|end|sep)|(?:start|end)_header_id|header_(?:start|end)|eo[tm]_id|endoftext"
    r"|(?:start|begin|end)[_▁]of[_▁](?:turn(?:_token)?|text|sentence)|end_response"
)
# Short names may belong to a text, too: <s> is also HTML, <S> a size, [EOS] a camera.
SHORT_NAME = r"bos|eos|sop|eop|eot|eod|eom|gmask|(?-i:/?s)|sys"
# Tokens at the ends of a text; inside it, they end nothing.
EDGE_NAME = r"pad|sep|cls|end"
# Their names are common words: tokens only with bars, such as <|user|>.
BARRED_NAME = (
    r"start|begin|return|call|turn|message|user|assistant|system|observation|human|tool"
    r"|(?:user|chatbot|system)_token"
)
SHORT_BRACKET_NAME, EDGE_BRACKET_NAME = r"inst|bos|eos|eot|eod|gmask", r"sep|cls|pad"
BARRED = rf"{LEFT}{BAR}[^<>|｜\s&]{{1,40}}\s?[|｜]?\s?{RIGHT}|{LEFT}[^<>|｜\s&]{{1,40}}{BAR}{RIGHT}"
TAG = rf"{LEFT}{{1,2}}/?(?:{TURN_NAME}|{SHORT_NAME}|{EDGE_NAME}){RIGHT}{{1,2}}"
TOKEN = (
    rf"(?:{BARRED}|{TAG}|(?-i:</S>)(?=\s*\Z)|\[/?(?:{SHORT_BRACKET_NAME}|{EDGE_BRACKET_NAME})\])"
)
TURN = re.compile(
    rf"(?i){LEFT}{{1,2}}\s?[|｜]?\s?(?:{TURN_NAME}|{SHORT_NAME}|{EDGE_NAME}|{BARRED_NAME})"
    rf"\s?[|｜]?\s?{RIGHT}{{1,2}}"
)
SHORT = re.compile(rf"(?i){LEFT}{{1,2}}(?:{SHORT_NAME}){RIGHT}{{1,2}}|\[(?:{SHORT_BRACKET_NAME})\]")
EDGE = re.compile(rf"(?i){LEFT}{{1,2}}(?:{EDGE_NAME}){RIGHT}{{1,2}}")
# A block of which only the content is the answer. Some names may also be those of the text's own
# tags: they count if the block ends.
ANSWER_NAME = r"(?:final[_-])?(?:answer|response|output|solution|text|回答|答え|本文|出力)|final"
ANSWER_OPEN = re.compile(rf"(?i)\s*{LEFT}(?:{ANSWER_NAME}){RIGHT}")
SURE_ANSWER = re.compile(rf"(?i)\s*{LEFT}(?:final[_-])?(?:answer|response){RIGHT}")
ANSWER_CLOSE = re.compile(rf"(?i){LEFT}[/／](?:{ANSWER_NAME}){RIGHT}")
# The name of the one who writes, after a token (a header) or at the beginning of a reply.
ROLE = (
    rf"(?:system|user|assistant|model|human)\s*(?:(?={TOKEN}|[{BLOCK}{UNFINISHED}])"
    r"|\n\s*|[:：]\s*)"
)
SPEAKER = r"(?:(?:assistant|model)[^\S\n]*\n|(?:assistant|chatbot)\s*[:：])\s*"
LEADING = re.compile(rf"(?i)^\s*(?:{TOKEN}\s*(?:{ROLE})?|{SPEAKER}|{BLOCK}\s*)+")
FIRST = re.compile(rf"(?i){TOKEN}|{LEFT}[/／]?(?:{ANSWER_NAME}){RIGHT}")
HALF = re.compile(rf"{LEFT}[|｜][!-;=?-~▁]{{0,40}}$")
SENTENCE_END = re.compile(r"[。．.!?！？…」』）)\n]\s*\Z")
# They stand for a part of the text that is not there, or two texts meet at them.
LOST = re.compile(
    rf"(?i){LEFT}[|｜]?(?:unk|mask|extra_id_\d+|unused_?\d+|0x[0-9a-f]{{2}})[|｜]?{RIGHT}"
    r"|\[(?:unk|mask|unused_?\d+)\]|(?-i:assistantfinal)(?![a-z])"
)


def without_leading(text: str) -> str:
    """`text` without tokens, blocks and the name of the one who writes at its beginning."""
    text = LEADING.sub("", text)
    opened = ANSWER_OPEN.match(text)
    if opened and (SURE_ANSWER.match(text) or ANSWER_CLOSE.search(text, opened.end())):
        text = LEADING.sub("", text[opened.end() :])
    return text


def without_tokens(text: str) -> str | None:
    """`text`, of which the beginning is clean, without tokens at its end and further turns.

    None if a token or block inside shows that the text is damaged: one that stands for something
    lost, or one with text on both sides that does not clearly end a turn. Of two such texts one may
    be reasoning or the prompt, or both are one text that is about the token.
    """
    if LOST.search(text):
        return None
    text = HALF.sub("", text)
    end = len(text)
    place = None
    for token in FIRST.finditer(text):
        if place is None:
            place = token.start()
        elif not is_blank(text[end : token.start()]):
            return None
        end = token.end()
        if ends_turn(text, place, token):
            break
    else:
        if not is_blank(text[end:]):
            return None
    text = text[:place]
    if BLOCK in text:
        text = text.rstrip(f" \n\u3000{BLOCK}")
    return None if BLOCK in text or UNFINISHED in text else text


def ends_turn(text: str, place: int, token: re.Match[str]) -> bool:
    """Whether what follows `token` is no part of the answer, which ends at `place`."""
    if SHORT.fullmatch(token[0]):
        after = text[token.end() : token.end() + 1]
        before = text[max(0, place - 4) : place]
        return after == "\n" or SENTENCE_END.search(before) is not None
    return TURN.fullmatch(token[0]) is not None and EDGE.fullmatch(token[0]) is None


def is_blank(text: str) -> bool:
    """Whether `text` has only white space and blocks."""
    return not text.replace(BLOCK, "").strip()
