"""Rows of the input between reading and writing, and what is wrong with a row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

SURROGATE = re.compile("[\ud800-\udfff]")
ABSENT = object()

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """What is known before the first chunk: the columns, and the number of rows if it is.

    `types`: the Arrow types of the columns of a text file; a parquet file has its own schema.
    """

    columns: list[str]
    types: list[str]
    rows: int | None = None


@dataclass(frozen=True)
class Chunk:
    """Some rows. `values`: dicts, or an Arrow table with the columns to copy.

    `texts`: the student's inputs of each row. `errors`: why a row gets no prediction, or "".
    `position`: where the next chunk starts, in bytes of a text file and in rows of a parquet file.
    """

    values: Any
    texts: list[tuple[str, ...]]
    errors: list[str]
    position: int


class Source(Protocol):
    """An input file, opened."""

    size: int  # in the unit of Chunk.position

    def layout(self) -> Layout:
        """Return the columns of the file."""

    def chunks(self, rows: int, position: int) -> Iterator[Chunk]:
        """Yield chunks of `rows` rows from `position` on, 0 at the beginning."""


def chunk_of(rows: Sequence[tuple[Row, str]], inputs: Iterable[str], position: int) -> Chunk:
    """Return a chunk of (row, what its reader found wrong) pairs."""
    names = list(inputs)
    cells = [tuple(row.get(name, ABSENT) for name in names) for row, _ in rows]
    errors = [error or fault(names, one) for (_, error), one in zip(rows, cells, strict=True)]
    return Chunk([row for row, _ in rows], cells, errors, position)


def fault(names: Sequence[str], cells: Sequence[object]) -> str:
    """Return what is wrong with the student's inputs of a row, or ""."""
    return next(filter(None, map(cell_fault, names, cells)), "")


def cell_fault(name: str, cell: object) -> str:
    """Return what is wrong with one input, or ""."""
    if cell is ABSENT:
        return f"no column '{name}'"
    if cell is None:
        return f"'{name}' is null"
    if not isinstance(cell, str):
        return f"'{name}' is not a string but {type(cell).__name__}"
    if not cell.strip():
        return f"'{name}' is empty"
    return f"'{name}' has half of a surrogate pair" if SURROGATE.search(cell) else ""


def whole(text: str) -> str:
    """Return `text` with U+FFFD for what UTF-8 cannot write (half of a surrogate pair)."""
    return SURROGATE.sub("\ufffd", text)
