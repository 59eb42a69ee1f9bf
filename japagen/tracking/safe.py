"""Names from outside -> names that MLflow, file systems and Matplotlib take: safe and unique."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from japagen.config.secret import hidden, hidden_values

KEY = re.compile(r"[^\w.\-/ ]")  # characters that MLflow does not take in a metric, param or tag
FILE = re.compile(r"[^\w.\-]")
MODEL = re.compile(r"[/:.%\"']")  # the same of a logged model
DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
LONGEST_KEY, LONGEST_FILE = 250, 120  # MLflow's limit; file systems take 255 bytes


def key(name: str) -> str:
    """`name` as a key of MLflow.

    A name that had to be changed ends with a hash of the original, so that ★☆☆ and ★★☆ stay two.
    """
    # MLflow refuses keys that would be another path as a file: a//b, ../a, a/.
    parts = ["_" if part in ("", ".", "..") else part for part in KEY.sub("_", name).split("/")]
    return distinct("/".join(parts), name, LONGEST_KEY)


def file_name(name: str) -> str:
    """`name` as one part of a path: no separator, and neither `.` nor `..`."""
    return distinct(FILE.sub("_", name), name, LONGEST_FILE)


def distinct(changed: str, name: str, longest: int) -> str:
    """`changed`, with a hash of `name` if it differs from it, starts with a dot or is too long."""
    safe = re.sub(r"^\.+", "_", changed) or "_"
    if safe == name and len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[: longest - 9]}-{digest}"


def model_name(name: str) -> str:
    """`name` as the name of a logged model."""
    return MODEL.sub("_", name) or "student"


def encodable(text: str) -> str:
    r"""`text` with lone surrogates written as \udXXX, which no file or database takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str) -> str:
    """`text` without characters that XML, fonts or consoles refuse or act upon.

    These are control characters but for tab and line feed, lone surrogates, and characters that
    change the direction of what follows. Each becomes U+FFFD.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if (unicodedata.category(letter) in ("Cc", "Cs", "Cn", "Co") and letter not in "\t\n")
        or unicodedata.bidirectional(letter) in DIRECTIONS
        else letter
        for letter in text
    )


def drawn(text: str, longest: int = 30) -> str:
    """`text` in one printable line, cut at `longest`."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def cleaned(path: Path, place: Path) -> Path:
    """`path`, or a copy in the folder `place` if the file has a known secret."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return path  # an image or weights
    shown = hidden_values(text)
    if shown == text:
        return path
    (place / path.name).write_text(shown, encoding="utf-8")
    return place / path.name


def texts(values: Mapping[str, object], longest: int) -> list[list[str]]:
    """(key, text) pairs that MLflow takes, without secrets."""
    return [
        [key(hidden(name)), encodable(hidden(value))[:longest]] for name, value in values.items()
    ]
