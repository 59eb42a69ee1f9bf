"""Records of JSONL, CSV and TSV files: cells by column name, or by position without a header."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.gold.rows import Columns, Fault, Record, doubled, plain
from japagen.gold.source import read_text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table is written. `header` None: the columns decide; `quoting` None: the text does.

    `is_label`: whether a cell is a label of the task. With it, rows that lone quotation marks
    merged into one are found.
    """

    delimiter: str
    header: bool | None = None
    quoting: bool | None = True
    is_label: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """What the first row says: the names of a header, if it is one, and the number of columns."""

    names: Sequence[str]
    width: int

    def place(self, column: str) -> int | None:
        """The place of a column in a row, from 0; None if it has none."""
        names = [plain(name) for name in self.names]
        if plain(column) in names:
            return names.index(plain(column))
        return int(column) - 1 if column.isdecimal() else None


Cells = tuple[str, list[str]]  # (place in the file, cells)

# A cell as a program writes it that quotes: bare, or in quotes with every quote inside doubled.
WELL_QUOTED = re.compile(r'[^"]*|"(?:[^"]|"")*"')
LINE_END = re.compile("\r\n|\r|\n")


def json_records(path: Path) -> Iterator[Record | Fault]:
    """The object on each line. Only \\n ends a line: Japanese text may contain U+2028 or U+0085."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"row {number}"
        try:
            cells = json.loads(line, object_pairs_hook=Object)
        except (ValueError, RecursionError) as error:
            detail = f"{error}; allowed: one whole JSON object per line"
            yield Fault(where, "not JSON, or cut off", detail)
            continue
        if isinstance(cells, Object) and cells.doubled:
            yield Fault(where, f"'{cells.doubled}' is there twice", "allowed: each name once")
        elif isinstance(cells, dict):
            yield where, cells
        else:
            detail = 'allowed: one object per line, such as {"label": ...}'
            yield Fault(where, "not a JSON object", detail)


class Object(dict[str, Any]):
    """A JSON object with the name that is there twice, "" if none is: only the last one is kept."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.doubled = doubled(name for name, _ in pairs) if len(self) < len(pairs) else ""


def table_records(path: Path, form: TableForm, columns: Columns) -> Iterator[Record | Fault]:
    """The rows of a table: cells by column name, and by position if one of `columns` is one."""
    text, needed = read_text(path), columns.needed()
    layout: Layout | None = None
    # Strict: a quotation mark that is never closed would otherwise merge rows silently.
    for item in table_cells(text, form.delimiter, is_quoting(path, text, form), strict=True):
        if isinstance(item, Fault):
            yield item
            continue
        where, cells = item
        if layout is None:
            found = layout_of(where, cells, form, needed)
            if isinstance(found, Fault):
                yield found
                return
            layout = found
            if layout.names:
                continue
        if fault := row_fault(item, layout, form, columns.label):
            yield fault
        else:
            yield where, by_column(cells, layout.names, needed)


def is_quoting(path: Path, text: str, form: TableForm) -> bool:
    """Whether quotation marks of a table are those of CSV; logs if the text decides for no."""
    if form.quoting is not None:
        return form.quoting
    quoting = is_quoted(text, form.delimiter)
    if not quoting and '"' in text:
        log.info(
            '%s: " is read as an ordinary character, because not every cell is quoted as in CSV; '
            "gold.quoting=true reads it as a quotation mark",
            path,
        )
    return quoting


def layout_of(
    where: str, first: Sequence[str], form: TableForm, columns: Sequence[str]
) -> Layout | Fault:
    """What the first row says, or the fault if it cannot be used.

    If every column is given by its position, the first row is data, so that no position is
    searched among its cells: labels are often 0 and 1. Only if it has all of `columns` as names,
    it may be either.
    """
    header = form.header
    if header is None:
        header = not all(column.isdecimal() for column in columns)
        if not header and set(columns) <= {cell.strip() for cell in first}:
            detail = f"it has {', '.join(first)}; allowed: gold.header=true or gold.header=false"
            return Fault(where, "it may be a header or data", detail)
    if not header:
        return Layout((), len(first))
    names = [plain(name) for name in first]
    wanted = {plain(name) for name in (*columns, "id")}
    if name := doubled(name for name in names if name in wanted):
        detail = f"it has {', '.join(first)}; allowed: each name once"
        return Fault(where, f"two columns are named '{name}'", detail)
    return Layout(first, len(first))


def row_fault(item: Cells, layout: Layout, form: TableForm, label: str) -> Fault | None:
    """The fault of a row that has another number of columns or is several rows, merged."""
    where, cells = item
    if len(cells) != layout.width:
        first = "the header" if layout.names else "the first row"
        detail = f"it has {len(cells)}; allowed: {layout.width}, as in {first}"
        return Fault(where, "another number of columns", detail)
    if form.is_label and is_merged(cells, layout.place(label), form.delimiter, form.is_label):
        detail = (
            'allowed: a " that is text is written twice, in a cell in quotes. If quotation marks '
            "are text: gold.quoting=false. If the cell is right: gold.quoting=true"
        )
        return Fault(where, "a quoted cell has rows inside it", detail)
    return None


def is_merged(
    cells: Sequence[str], label: int | None, delimiter: str, is_label: Callable[[str], bool]
) -> bool:
    """Whether a cell spans lines, and the first and last line of the row are rows with a label.

    Two lone quotation marks do that. Texts with line ends and delimiters do not, because no label
    is where the label column is.
    """
    if label is None or not 0 <= label < len(cells):
        return False
    for place, cell in enumerate(cells):
        lines = LINE_END.split(cell)
        if len(lines) > 1:
            first = [*cells[:place], *lines[0].split(delimiter)]
            last = [*lines[-1].split(delimiter), *cells[place + 1 :]]
            if all(len(row) == len(cells) and is_label(row[label]) for row in (first, last)):
                return True
    return False


def by_column(cells: Sequence[str], names: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Cells by name, and by position from 1 where there is no name or a position is wanted."""
    named = dict(zip(names, cells, strict=False))
    if names and not any(column.isdecimal() for column in columns):
        return named
    return {str(number): cell for number, cell in enumerate(cells, 1)} | named


def table_cells(
    text: str, delimiter: str, quoting: bool, strict: bool, newline: str | None = ""
) -> Iterator[Cells | Fault]:
    """The cells of each row that is not blank; a row's place is the line on which it starts."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(
        io.StringIO(text, newline=newline),
        delimiter=delimiter,
        strict=strict,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
    )
    line = 1
    try:
        for cells in reader:
            if cells:
                yield f"row {line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        rule = 'a cell that starts with " must end with it, and a " inside it is written twice'
        detail = f"{error}; allowed: {rule}. If quotation marks are text: gold.quoting=false"
        yield Fault(f"row {line}", "broken quotes", detail)


def is_quoted(text: str, delimiter: str) -> bool:
    """Whether every quotation mark of a table can be read as CSV quoting.

    No if it cannot be parsed, if rows differ in length, if a cell spans lines and holds
    delimiters (rows merged by two lone quotation marks), or if each line is a whole row and
    one of its cells is not quoted properly.
    """
    quoted = list(table_cells(text, delimiter, quoting=True, strict=True))
    if any(isinstance(item, Fault) for item in quoted):
        return False
    rows = [item[1] for item in quoted if not isinstance(item, Fault)]
    if len({len(cells) for cells in rows}) > 1 or any(
        "\n" in cell and delimiter in cell for cells in rows for cell in cells
    ):
        return False
    lines = [line.rstrip("\r\n").split(delimiter) for line in io.StringIO(text, newline="")]
    lines = [cells for cells in lines if cells != [""]]
    if len({len(cells) for cells in lines}) > 1:
        return True
    return all(WELL_QUOTED.fullmatch(cell) for cells in lines for cell in cells)
