"""Names that become folders, columns and labels: which are allowed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

# Letters of any script, digits and . _ + -; a dot or a hyphen is not the first character.
NAME = re.compile(r"[^\W_][\w.+-]*|_[\w.+-]*")
LONGEST = 80  # bytes in UTF-8; several names together form one folder name of at most 255 bytes
# Windows keeps these for devices, with any ending.
DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
# Columns that tables, tokenized rows and predictions have beside the task's inputs.
RESERVED = (
    *("id", "label", "labels", "source", "idx", "input_ids", "attention_mask"),
    *("gold", "predicted", "probability", "llm"),
)


def folder_name_problems(key: str, value: str) -> Iterator[str]:
    """Why the value of option `key` cannot be a part of a folder name."""
    safe = re.sub(r"[^\w.+-]+", "-", unicodedata.normalize("NFC", value)).strip("-.")
    example = f", e.g. {key}={safe[:40]}" if NAME.fullmatch(safe) else ""
    if not NAME.fullmatch(value) or ".." in value or value.endswith(".") or not is_nfc(value):
        yield (
            f"{key} is {value!r}, but it becomes a folder name; allowed: letters, digits and "
            f". _ + - after a letter or digit, in Unicode NFC{example}"
        )
    elif len(value.encode()) > LONGEST:
        yield f"{key} is {len(value.encode())} bytes long; it must be at most {LONGEST} bytes"
    elif DEVICE.fullmatch(value):
        yield f"{key} is {value!r}, which Windows reserves; choose another name, e.g. {value}_1"


def column_problems(where: str, names: Sequence[str]) -> Iterator[str]:
    """Why the names of a task's inputs cannot be columns of a table."""
    for name in names:
        if name.lower() in RESERVED:
            yield (
                f"{where}: inputs has '{name}', which is reserved; allowed: any other name than "
                f"{', '.join(RESERVED)}, e.g. text"
            )
        elif not NAME.fullmatch(name) or not is_nfc(name):
            yield (
                f"{where}: inputs has {name!r}, but it becomes a column; allowed: letters, digits "
                "and . _ + - after a letter or digit, in Unicode NFC, e.g. sentence"
            )
    yield from twin_problems(f"{where}: inputs", names)


def label_problems(where: str, labels: Sequence[str]) -> Iterator[str]:
    """Why labels cannot be distinguished in files, prompts and metrics."""
    for label in labels:
        if not is_nfc(label):
            yield (
                f"{where}: label {label!r} is not in Unicode NFC, so it does not equal the same "
                "word typed elsewhere: save the YAML in NFC (on macOS: uconv -x nfc)"
            )
        elif not label or label != label.strip() or not label.isprintable():
            yield (
                f"{where}: label {label!r} is empty or has spaces around it or invisible "
                "characters; allowed: printable text, e.g. positive"
            )
    yield from twin_problems(f"{where}: labels", labels)


def twin_problems(where: str, names: Sequence[str]) -> Iterator[str]:
    """Names that differ only by case, width or another Unicode form of the same characters."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other != name:
            yield (
                f"{where}: {other!r} and {name!r} differ only by case or Unicode form; rename one"
            )


def is_nfc(text: str) -> bool:
    """Whether `text` is in Unicode NFC, the form in which Japanese is usually typed."""
    return unicodedata.is_normalized("NFC", text)
