"""Characters that can be seen: invisible ones are removed, damaged ones become U+FFFD."""

from __future__ import annotations

import re
import unicodedata

DAMAGED = "\ufffd"
JOINER, EMOJI_STYLE = "\u200d", "\ufe0f"
# They show nothing alone, but belong to many emoji.
EMOJI_JOINERS = frozenset({JOINER, EMOJI_STYLE})

# What almost all texts consist of. None of these is a control character, invisible, a space other
# than " " and U+3000, a combining mark, private or half a character. The unassigned ones, such as
# U+1F02C, all belong to GROWING.
USUAL = (
    "\n -~\u00a1-\u00ac\u00ae-\u02ff\u0391-\u03a1\u03a3-\u03c9\u0410-\u044f"
    "\u2010-\u2027\u2030-\u205e\u2100-\u218b\u2190-\u23ff\u2460-\u27ff\u2900-\u2b73"
    "\u3000-\u3029\u3030-\u303f\u3041-\u3096\u309b-\u30ff\u31f0-\u321e\u3220-\u9ffc"
    "\uf900-\ufa6d\ufa70-\ufad9\ufe30-\ufe4f\uff01-\uff9f\uffe0-\uffe6"
    "\U0001f000-\U0001faff\U00020000-\U0002a6dd"
)
RARE = re.compile(f"[^{USUAL}]")
# Unicode's Default_Ignorable_Code_Point, and three that show nothing, too: a blank of Braille, the
# place of an object that is not there and a note without a head. Variation selectors are among
# them: they only choose the shape of a character.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\ufffc"
    "\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Each version of Unicode adds emoji and kanji here: this Python may not know all of them.
GROWING = re.compile("[\U0001f000-\U0001faff\U00020000-\U0002fffd\U00030000-\U0003fffd]")
KEYCAP, KEYS = "\u20e3", frozenset("0123456789#*")
EMOJI_ARROWS = frozenset("\u2194\u2195")

PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\))")
LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
CONTROL = re.compile(r"[\x00-\x09\x0e-\x1f\x7f-\x84\x86-\x9f]")


def visible(text: str) -> str:
    """`text` in NFC without control, format, blank and baseless combining characters.

    Line ends become \\n and other spaces but U+3000 become " ". Private, unassigned and half
    characters become U+FFFD.
    """
    text = unicodedata.normalize("NFC", text)
    # True for most texts: then there is nothing to change.
    if RARE.search(text) is None:
        return text
    text = CONTROL.sub("", LINE_END.sub("\n", ANSI.sub("", paired(text))))
    kept, last, end = list[str](), "\n", 0
    for found in RARE.finditer(text):
        place = found.start()
        if end < place:
            kept.append(text[end:place])
            last = text[place - 1]
        end = place + 1
        if char := shown(text[place], last, text[end : end + 1]):
            kept.append(char)
            last = char
    return unicodedata.normalize("NFC", "".join(kept) + text[end:])


def key(text: str) -> str:
    """What two texts have in common if a reader sees no difference; for finding duplicates."""
    text = visible(text)
    if RARE.search(text):
        text = text.replace(JOINER, "").replace(EMOJI_STYLE, "")
    return text


def paired(text: str) -> str:
    """`text` with two halves of a character in a row joined; a half alone stays."""
    return PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def shown(char: str, before: str, after: str) -> str:
    """What a reader sees of `char` between two others: "" for nothing, U+FFFD if damaged."""
    if char in EMOJI_JOINERS:
        return char if belongs(char, before, after) else ""
    if is_invisible(char):
        return ""
    category = unicodedata.category(char)
    if category in ("Cn", "Co", "Cs"):
        return char if GROWING.match(char) else DAMAGED
    if category == "Zs":
        return char if char == "\u3000" else " "
    if category == "Me" and not (char == KEYCAP and before in KEYS):
        return ""
    # A combining mark needs a character to stand on.
    return "" if category[0] == "M" and before.isspace() else char


def belongs(joiner: str, before: str, after: str) -> bool:
    """Whether a character of EMOJI_JOINERS is part of an emoji between these two characters."""
    if joiner == EMOJI_STYLE:
        return is_emoji(before)
    return (is_emoji(before) or before == EMOJI_STYLE) and is_emoji(after)


def is_invisible(char: str) -> bool:
    """Whether a character shows nothing and is no space."""
    return IGNORABLE.match(char) is not None or unicodedata.category(char) == "Cf"


def is_emoji(char: str) -> bool:
    """Whether joiners may stand at this character; False for ""."""
    return (
        "\U0001f000" <= char <= "\U0001faff"
        or char in EMOJI_ARROWS
        or (char > "\u00a0" and unicodedata.category(char) == "So" and not is_invisible(char))
    )


def without_lone_marks(text: str) -> str:
    """`text` without combining marks at its beginning."""
    start = 0
    while start < len(text) and unicodedata.category(text[start])[0] == "M":
        start += 1
    return text[start:]
