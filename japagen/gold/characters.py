"""The characters of gold rows: damaged ones are named with their row, invisible ones removed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from japagen.config.task import Task
from japagen.gold.rows import Fault, Row
from japagen.text.visible import IGNORABLE, visible

# Characters that could not be decoded, that are none, or that no UTF-8 file can have.
DAMAGED = re.compile("[\0\ufffd\ufffe\uffff\ud800-\udfff]")
# White space and characters of private use stay as they are in the file.
STAYS = re.compile(r"(\s+|[\ue000-\uf8ff\U000f0000-\U0010fffd]+)")


def readable(row: Row, task: Task) -> Row | Fault:
    """The row without invisible characters, or the fault of a character that is damaged."""
    inputs = dict(zip(task.inputs, row.texts, strict=True))
    if fault := damage(row.where, {**inputs, "label": row.label, "id": row.id}):
        return fault
    texts = tuple(without_invisible(text) for text in row.texts)
    if fault := damage(row.where, dict(zip(task.inputs, texts, strict=True))):
        return fault
    return replace(row, texts=texts)


def damage(where: str, named: Mapping[str, str]) -> Fault | None:
    """The fault of a row with a character that is not whole; `named`: its values by column."""
    for name, text in named.items():
        if not (found := DAMAGED.search(text)):
            continue
        code = ord(found[0])
        if 0xD800 <= code <= 0xDFFF:  # half of a pair such as \ud83d\udc36
            detail = f"got \\u{code:04x} without its other half; allowed: whole characters"
            return Fault(where, f"'{name}' has a lone surrogate", detail)
        advice = "allowed: whole characters. Fix the row, or make the file again from its source"
        return Fault(where, f"'{name}' has a damaged character", f"got U+{code:04X}; {advice}")
    return None


def without_invisible(text: str) -> str:
    """The text as it is, unless a word has invisible characters: they are removed as in replies."""
    if IGNORABLE.search(text) is None and "".join(text.split()).isprintable():
        return text  # most texts
    pieces = STAYS.split(text)
    pieces[::2] = [word if is_shown(word) else visible(word) for word in pieces[::2]]
    return "".join(pieces)


def is_shown(word: str) -> bool:
    """Whether every character of a word without white space can be seen."""
    # Python calls some of them printable.
    return word.isprintable() and IGNORABLE.search(word) is None
