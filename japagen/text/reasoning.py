"""Find the answer in a reply that has reasoning blocks or channels."""

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
EMPTY = re.compile(rf"(?i){LEFT}{NAME}\s*{SLASH}{RIGHT}")
INNERMOST = re.compile(rf"(?is){OPEN}(?:(?!{OPEN}).)*?{CLOSE}")
UP_TO_CLOSE = re.compile(rf"(?is)^.*{CLOSE}")
ANY_OPEN = re.compile(rf"(?i){OPEN}")
# Harmony (gpt-oss): reasoning and answer are channels. Some servers drop the special tokens and
# leave their words: "analysis...assistantfinal...".
CHANNEL = re.compile(r"<\|channel\|>")
FINAL = re.compile(
    r"(?s)<\|channel\|>\s*final\b(?:(?!<\|(?:message|channel)\|>).)*<\|message\|>"
    r"([^<]*(?:<(?!\|)[^<]*)*)"
)
BARE_FINAL = re.compile(r"(?s)^.*assistant\s?final")
BARE_CHANNEL = re.compile(r"^\s*(?:assistant)?(?:analysis|commentary)")
# A block of which only the content is the answer.
ANSWER_NAME = r"(?:final[_-])?(?:answer|response|output|solution|text|回答|答え|本文|出力)|final"
ANSWER_OPEN = re.compile(rf"(?i)(?:<|＜|&lt;)(?:{ANSWER_NAME})(?:>|＞|&gt;)")
ANSWER_CLOSE = re.compile(rf"(?i)(?:<|＜|&lt;)[/／](?:{ANSWER_NAME})(?:>|＞|&gt;)")


def without_reasoning(text: str) -> str | None:
    """The answer after, between or inside blocks; None where the reasoning does not end."""
    if CHANNEL.search(text):
        finals = FINAL.findall(text)
        return str(finals[-1]) if finals else None
    if bare := BARE_FINAL.match(text):
        return text[bare.end() :]
    if BARE_CHANNEL.match(text):
        return None
    before, text = "", EMPTY.sub("", text)
    while text != before:  # inner blocks first
        before, text = text, INNERMOST.sub("", text)
    # Templates that open the block in the prompt leave the closing tag alone in the reply.
    text = UP_TO_CLOSE.sub("", text)
    return None if ANY_OPEN.search(text) else unwrapped(text)


def unwrapped(text: str) -> str:
    """The content of the first <answer> block or one like it; `text` if there is none."""
    opened = ANSWER_OPEN.search(text)
    closed = ANSWER_CLOSE.search(text, opened.end()) if opened else None
    return text[opened.end() : closed.start()] if opened and closed else text
