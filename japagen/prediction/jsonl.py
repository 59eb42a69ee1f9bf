"""Chunks of a JSONL file: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.prediction.chunk import SURROGATE, Chunk, Layout, Row, chunk_of
from japagen.prediction.lines import Lines, check_text

MAX_COLUMNS = 10_000
INT64 = 1 << 63
EXACT = 1 << 53  # integers up to here keep their value as a float

# What a column holds -> its Arrow type. Any other mixture becomes a string.
TYPES = {
    frozenset({"bool"}): "bool",
    frozenset({"int"}): "int64",
    frozenset({"int", "long"}): "int64",
    frozenset({"long"}): "int64",
    frozenset({"float"}): "double",
    frozenset({"int", "float"}): "double",
}


class Jsonl:
    """A JSONL file. `inputs`: the columns with the student's texts."""

    def __init__(self, path: Path, inputs: Sequence[str]) -> None:
        check_text(path)
        self.path, self.inputs = path, inputs
        self.size = path.stat().st_size

    def layout(self) -> Layout:
        """Return the columns of all rows in the order in which they occur; reads the file."""
        kinds, rows = dict[str, set[str]](), 0
        with Lines(self.path) as lines:
            for row, _ in records(lines):
                rows += 1
                for name, value in row.items():
                    kinds.setdefault(name, set()).add(kind(value))
                if len(kinds) > MAX_COLUMNS:
                    raise UserError(
                        f"{self.path}, row {rows}: the objects have more than {MAX_COLUMNS:,} "
                        "different names; allowed: the same names in each row"
                    )
        for name in filter(SURROGATE.search, kinds):
            raise UserError(
                f"{self.path}: a column is named {name!a}; allowed: whole characters, "
                "not half of a surrogate pair"
            )
        types = [TYPES.get(frozenset(found - {"null"}), "string") for found in kinds.values()]
        return Layout(list(kinds), types, rows)

    def chunks(self, rows: int, position: int) -> Iterator[Chunk]:
        """Yield chunks of `rows` rows from the line at `position` on."""
        with Lines(self.path, position) as lines:
            found = records(lines)
            while some := list(islice(found, rows)):
                yield chunk_of(some, self.inputs, lines.position)


def records(lines: Lines) -> Iterator[tuple[Row, str]]:
    """Yield (row, what is wrong with it) of each line that is not blank."""
    for line in lines:
        if line.strip():
            yield record(line)


def record(line: bytes) -> tuple[Row, str]:
    """Return the object on a line and "", or an empty one and what is wrong."""
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8: byte 0x{line[error.start]:02x}"
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {error}"
    return (found, "") if isinstance(found, dict) else ({}, "not a JSON object")


def kind(value: Any) -> str:
    """Return what a value is, for the type of its column."""
    name = "null" if value is None else type(value).__name__
    if name == "int" and abs(value) > EXACT:
        return "long" if -INT64 <= value < INT64 else "huge"
    return name
