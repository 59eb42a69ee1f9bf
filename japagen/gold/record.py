"""Records of JSONL, CSV and TSV files: cells by column name, or by position without a header."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from japagen.gold.rows import Fault, Record
from japagen.gold.source import read_text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table is written. `header` None: the columns decide; `quoting` None: the text does."""

    delimiter: str
    header: bool | None = None
    quoting: bool | None = True


Cells = tuple[str, list[str]]  # (place in the file, cells)

# A cell as a program writes it that quotes: bare, or in quotes with every quote inside doubled.
WELL_QUOTED = re.compile(r'[^"]*|"(?:[^"]|"")*"')


def json_records(path: Path) -> Iterator[Record | Fault]:
    """The object on each line. Only \\n ends a line: Japanese text may contain U+2028 or U+0085."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"row {number}"
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            detail = f"{error}; allowed: one whole JSON object per line"
            yield Fault(where, "not JSON, or cut off", detail)
            continue
        if isinstance(cells, dict):
            yield where, cells
        else:
            detail = 'allowed: one object per line, such as {"label": ...}'
            yield Fault(where, "not a JSON object", detail)


def table_records(path: Path, form: TableForm, columns: Sequence[str]) -> Iterator[Record | Fault]:
    """The rows of a table: cells by column name, and by position if one of `columns` is one."""
    text = read_text(path)
    quoting = is_quoted(text, form.delimiter) if form.quoting is None else form.quoting
    if not quoting and form.quoting is None and '"' in text:
        log.info(
            '%s: " is read as an ordinary character, because not every cell is quoted as in CSV; '
            "gold.quoting=true reads it as a quotation mark",
            path,
        )
    # Strict: a quotation mark that is never closed would otherwise merge rows silently.
    items = table_cells(text, form.delimiter, quoting, strict=True)
    header, width = form.header, 0
    names = list[str]()
    for item in items:
        if isinstance(item, Fault):
            yield item
            continue
        where, cells = item
        if not width:
            width = len(cells)
            header = is_header(cells, columns) if header is None else header
            if header:
                names = cells
                continue
        if len(cells) != width:
            first = "the header" if header else "the first row"
            detail = f"it has {len(cells)}; allowed: {width}, as in {first}"
            yield Fault(where, "another number of columns", detail)
        else:
            yield where, by_column(cells, names, columns)


def is_header(first_row: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether the first row is a header: no if every column is given by its position."""
    return not all(column.isdecimal() and column not in first_row for column in columns)


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
