"""Normalise a reply: remove reasoning, special tokens and invisible characters."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

REASONS = {
    "thoughts": "the reply ends inside the LLM's reasoning, or is nothing else",
    "damaged": "a character could not be decoded: U+FFFD, half a surrogate pair or <unk>",
}

# Reasoning blocks: <think> of DeepSeek and Qwen, [THINK] of Magistral, ◁think▷ of Kimi, others.
NAMES = r"(?:think|thinking|thought|thoughts|reasoning|reflection|seed:think)"
OPEN = rf"(?:<\s*{NAMES}\s*>|\[THINK\]|◁think▷|<\|begin_of_thought\|>)"
CLOSE = rf"(?:<\s*/\s*{NAMES}\s*>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>)"
INNERMOST = re.compile(rf"(?is){OPEN}(?:(?!{OPEN}).)*?{CLOSE}")
UP_TO_CLOSE = re.compile(rf"(?is)^.*{CLOSE}")
ANY_OPEN = re.compile(rf"(?i){OPEN}")
# Harmony (gpt-oss): reasoning and answer are channels. Some servers drop the special tokens and
# leave their words: "analysis...assistantfinal...".
CHANNEL = re.compile(r"<\|channel\|>")
FINAL = re.compile(r"(?s)<\|channel\|>\s*final\b[^<]*<\|message\|>([^<]*(?:<(?!\|)[^<]*)*)")
BARE_CHANNEL = re.compile(r"(?s)^(?:analysis|commentary).*?assistantfinal|^analysis")

ROLE = r"(?:system|user|assistant|model|human)\s*\n"
TOKEN = (
    r"(?:<\|[^<>|\s]{1,40}\|>|<｜[^<>｜\s]{1,40}｜>|</?s>|<(?:bos|eos|pad)>|\[/?INST\]"
    r"|<(?:start|end)_of_turn>)"
)
LEADING_TOKENS = re.compile(rf"^(?:\s*{TOKEN}\s*(?:{ROLE})?)+")
FIRST_TOKEN = re.compile(rf"(?s)(?:{TOKEN}|<[|｜][^<>\s]{{0,40}}$).*$")
UNKNOWN = re.compile(r"<unk>|<0x[0-9A-F]{2}>|[\ufffd\ufffe\uffff\ud800-\udfff]")
PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\))")
LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
CONTROL = re.compile(r"[\x00-\x09\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Letters, marks and signs that show nothing; format characters (category Cf) are found by category.
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
EMOJI_JOINERS = frozenset("\u200d\ufe0f")  # they show nothing alone, but belong to many emoji


class Normalised(NamedTuple):
    """The text, or "" and the reason why there is none (a key of REASONS)."""

    text: str
    reason: str = ""


def normalise(reply: str) -> Normalised:
    """The text of a reply in Unicode NFC, or the reason to reject the reply.

    Removes reasoning blocks, special tokens and what follows them, terminal escapes, control
    characters but \\n, invisible characters and marks of writing direction. A reply that ends
    inside its reasoning has no text.
    """
    text = visible(reply)
    if "<" in text or "[" in text or "◁" in text or text.startswith(("analysis", "commentary")):
        answer = without_reasoning(text)
        if answer is None:
            return Normalised("", "thoughts")
        if UNKNOWN.search(answer):
            return Normalised("", "damaged")
        text = FIRST_TOKEN.sub("", LEADING_TOKENS.sub("", answer))
    if UNKNOWN.search(text):
        return Normalised("", "damaged")
    return Normalised(text)


def visible(text: str) -> str:
    """`text` in NFC without control, format and blank characters; its line ends become \\n."""
    text = unicodedata.normalize("NFC", paired(text))
    # True for most texts: then there is nothing to remove.
    if text.replace("\n", "").replace("\u3000", "").isprintable() and not has_blank(text):
        return text
    text = CONTROL.sub("", LINE_END.sub("\n", ANSI.sub("", text)))
    kept: list[str] = []
    for char in text:
        if not is_invisible(char) or (char in EMOJI_JOINERS and kept and is_emoji(kept[-1])):
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def paired(text: str) -> str:
    """`text` with two halves of a character in a row joined; a half alone stays."""
    return PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def has_blank(text: str) -> bool:
    """Whether a printable character of `text` shows nothing."""
    return any(char in BLANK or is_selector(char) for char in text if char > "\u02ff")


def is_invisible(char: str) -> bool:
    """Whether a character shows nothing and is no space."""
    return unicodedata.category(char) == "Cf" or char in BLANK or is_selector(char)


def is_selector(char: str) -> bool:
    """Whether a character only chooses the shape of the one before it."""
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def is_emoji(char: str) -> bool:
    """Whether joiners may follow: a symbol, a skin colour, or the selector of an emoji."""
    return unicodedata.category(char) in ("So", "Sk") or char == "\ufe0f"


def without_reasoning(text: str) -> str | None:
    """The answer after or between reasoning blocks; None where the reasoning does not end."""
    if CHANNEL.search(text):
        finals = FINAL.findall(text)
        return str(finals[-1]) if finals else None
    if bare := BARE_CHANNEL.match(text):
        return text[bare.end() :] if bare.group().endswith("final") else None
    before = ""
    while text != before:  # inner blocks first
        before, text = text, INNERMOST.sub("", text)
    # Templates that open the block in the prompt leave the closing tag alone in the reply.
    text = UP_TO_CLOSE.sub("", text)
    return None if ANY_OPEN.search(text) else text
