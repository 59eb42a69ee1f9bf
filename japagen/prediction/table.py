"""Chunks of a CSV or TSV file whose first row is the header."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from japagen.config.error import UserError
from japagen.gold.source import decode
from japagen.prediction.chunk import Chunk, Layout, Row, chunk_of, whole
from japagen.prediction.lines import Lines, check_text

MAX_CELL = 1 << 20  # characters; a quotation mark that is never closed reads as far as this


class Table:
    """A CSV or TSV file. `inputs`: the columns with the student's texts."""

    def __init__(self, path: Path, inputs: Sequence[str], delimiter: str) -> None:
        check_text(path)
        self.path, self.inputs, self.delimiter = path, inputs, delimiter
        self.size = path.stat().st_size
        csv.field_size_limit(MAX_CELL)
        with Lines(path) as lines:
            self.names = self.header(lines)
            self.start = lines.position

    def header(self, lines: Lines) -> list[str]:
        """Return the cells of the first row."""
        cells, error = next(records(lines, self.delimiter), ([], "the file is empty"))
        if error.startswith("not UTF-8"):
            with self.path.open("rb") as file:
                decode(file.read(lines.position), str(self.path))
        if error:
            raise UserError(
                f"{self.path}: the header cannot be read: {error}; allowed: a first row with "
                "the names of the columns"
            )
        return cells

    def layout(self) -> Layout:
        """Return the columns of the header: strings."""
        return Layout(self.names, ["string"] * len(self.names))

    def chunks(self, rows: int, position: int) -> Iterator[Chunk]:
        """Yield chunks of `rows` rows from the line at `position` on."""
        with Lines(self.path, position or self.start) as lines:
            found = map(self.named, records(lines, self.delimiter, len(self.names)))
            while some := list(islice(found, rows)):
                yield chunk_of(some, self.inputs, lines.position)

    def named(self, record: tuple[list[str], str]) -> tuple[Row, str]:
        """Return the cells by column; cells without a column are dropped, missing ones empty."""
        cells, error = record
        if not error and len(cells) != len(self.names):
            error = f"{len(cells)} cells instead of {len(self.names)}"
        cells = cells + [""] * (len(self.names) - len(cells))
        return dict(zip(self.names, cells, strict=False)), error


class Taken:
    """Decoded lines for csv.reader, which remembers those of the current row.

    An iterator that ends is asked again after lines were taken back.
    """

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.row: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.row.append(line)
        return line.decode("utf-8", "surrogateescape")


def records(lines: Lines, delimiter: str, width: int = 0) -> Iterator[tuple[list[str], str]]:
    """Yield (cells, what is wrong with them) of each row; blank lines are no rows.

    After a row with broken quotes reading resumes at its second line.
    """
    taken = Taken(lines)
    reader = csv.reader(taken, delimiter=delimiter, strict=True)
    while True:
        taken.row.clear()
        try:
            cells, error = next(reader), ""
        except StopIteration:
            return
        except csv.Error as problem:
            cells, error = list[str](), f"broken row: {problem}"
        if error or len(taken.row) > 1:
            plain = unquoted(taken.row, delimiter, width)
            if plain or error:
                lines.back(taken.row[1:])
                del taken.row[1:]
            if plain:
                cells, error = plain, ""
        if cells or error:
            yield checked(cells, error, taken.row)


def unquoted(row: Sequence[bytes], delimiter: str, width: int) -> list[str]:
    """Return the cells of the first line of a TSV row whose quotation marks are text, or [].

    They are if each line on its own has the right number of cells.
    """
    if delimiter != "\t" or width < 2 or any(line.count(b"\t") != width - 1 for line in row):
        return []
    return row[0].decode("utf-8", "surrogateescape").rstrip("\r\n").split("\t")


def checked(cells: list[str], error: str, row: Sequence[bytes]) -> tuple[list[str], str]:
    """Return the cells in valid Unicode, and that they were not if so."""
    try:
        for line in row:
            line.decode("utf-8")
    except UnicodeDecodeError as problem:
        error = f"not UTF-8: byte 0x{problem.object[problem.start]:02x}"
        return [whole(cell) for cell in cells], error
    return cells, error
