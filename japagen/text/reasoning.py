"""Mark the reasoning in a reply: blocks between tags, and channels."""

from __future__ import annotations

import re

# A tag may have any of these brackets, with or without bars: <think>, <|thinking|>, [THINK],
# ◁think▷, ＜think＞, and with its brackets escaped for HTML.
LEFT = r"(?:&lt;|[<＜\[［◁])\s{0,2}[|｜]?\s{0,2}"
RIGHT = r"\s{0,2}[|｜]?\s{0,2}(?:&gt;|[>＞\]］▷])"
SLASH = r"\\?[/／]\s{0,2}"
# Names of blocks, some with a prefix: seed:think, mm:think, chain_of_thought, START_THINKING.
NAME = (
    r"(?:(?!end[_-])[a-z]{1,20}[:_-]){0,3}(?:think|thinking|thoughts?|reasoning|reflection"
    r"|analysis|scratch_?pad|cot|monologue|rationale|deliberation|思考|推論)"
    r"(?:[_-]process|過程)?"
)
ATTRIBUTES = r"(?:\s+\w+=[^<>\]\n]{0,40})?"
# Gemma writes its channels as <|channel>thought ... <channel|>, Solar ends its thoughts with
# <|content|>.
OPEN = (
    rf"(?=[<＜\[［◁&])(?:{LEFT}(?:{NAME}(?:[_-](?:begin|start))?{ATTRIBUTES}|inner_prefix){RIGHT}"
    r"|<\|channel>\s*(?:thought|think|analysis)\w*)"
)
CLOSE = (
    rf"(?=[<＜\[［◁&])(?:{LEFT}(?:{SLASH}{NAME}|end[_-](?:of[_-])?{NAME}|{NAME}[_-]end"
    rf"|inner_suffix){RIGHT}|<channel\|>|<\|content\|>)"
)
EMPTY = rf"{LEFT}{NAME}\s*{SLASH}{RIGHT}"
TAG = re.compile(rf"(?i)(?P<empty>{EMPTY})|(?P<open>{OPEN})|(?P<close>{CLOSE})")
# Titles and headings have the other brackets, too: [Thinking], ＜思考＞. Without a closing tag,
# they are no tags, but for the two that LLMs use.
SURE_BRACKETS, SURE = frozenset("<◁&"), frozenset({"[THINK]", "＜think＞"})
# A closing tag alone ends thoughts if it ends a line or follows a sentence.
LINE_END = re.compile(r"[^\S\n]*(?:\n|\Z)")
SENTENCE_END = re.compile(r"[。．.!?！？…\n]\s*\Z")
# Harmony (gpt-oss): reasoning and answer are channels. Some servers drop the special tokens and
# leave their words: "analysis...assistantfinal...".
CHANNEL = re.compile(r"<\|channel\|>")
FINAL = re.compile(
    r"(?s)<\|channel\|>\s*final\b(?:(?!<\|(?:message|channel)\|>).)*<\|message\|>"
    r"([^<]*(?:<(?!\|)[^<]*)*)"
)
BARE_CHANNEL = re.compile(r"^\s*(?:assistant)?(?:analysis|commentary)")
BARE_FINAL = re.compile(r"assistantfinal|assistant\sfinal(?=\s*[^\sA-Za-z])")
FIRST_FINAL = re.compile(r"^\s*assistant\s?final(?=\s*[^\sA-Za-z])")
# They stand for a block, and for an opening tag whose block does not end. No visible text has them.
BLOCK, UNFINISHED = "\0", "\1"


def without_reasoning(text: str) -> str | None:
    """`text` with BLOCK and UNFINISHED for its reasoning; None if a channel of it does not end."""
    if CHANNEL.search(text):
        finals = FINAL.findall(text)
        return str(finals[-1]) if finals else None
    if BARE_CHANNEL.match(text):
        ends = [found.end() for found in BARE_FINAL.finditer(text)]
        return text[ends[0] :] if len(ends) == 1 else None
    if first := FIRST_FINAL.match(text):
        return text[first.end() :]
    blocks, unfinished = reasoning(text)
    marks = [(*block, BLOCK) for block in blocks] + [(*tag, UNFINISHED) for tag in unfinished]
    kept, end = list[str](), 0
    for start, after, mark in sorted(marks):
        kept += text[end:start], mark
        end = after
    return "".join(kept) + text[end:]


def reasoning(text: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The places (start, end) of outermost blocks and of opening tags without a closing one."""
    blocks = list[tuple[int, int]]()
    opened: dict[str, list[tuple[int, int]]] = {}  # by bracket
    for tag in TAG.finditer(text):
        bracket = tag[0][0]
        if tag["open"]:
            opened.setdefault(bracket, []).append(tag.span())
            continue
        start = tag.start()
        if tag["close"]:
            if opened.get(bracket):
                start = opened[bracket].pop()[0]
            elif not any(map(opened.get, SURE_BRACKETS)) and ends_thoughts(text, *tag.span()):
                # Templates that open the block in the prompt leave the closing tag alone.
                start = 0
        for places in (blocks, *opened.values()):
            while places and places[-1][0] >= start:
                places.pop()
        blocks.append((start, tag.end()))
    unfinished = [
        (start, end)
        for bracket, places in opened.items()
        for start, end in places
        if bracket in SURE_BRACKETS or text[start:end] in SURE
    ]
    return blocks, unfinished


def ends_thoughts(text: str, start: int, end: int) -> bool:
    """Whether the closing tag at these places, which has no opening one, is the end of thoughts."""
    before = text[max(0, start - 4) : start]
    return LINE_END.match(text, end) is not None or SENTENCE_END.search(before) is not None
