"""Rows of JSONL, CSV and TSV files, and what is wrong with a row or a file."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from japagen.config.error import UserError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as its file has it: `where` it stands, `id` or nothing, `label` before gold.labels is applied."""

    where: str
    id: str
    texts: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad row: `reason` is the same text for the same fault, `detail` what is there and what is allowed."""

    where: str
    reason: str
    detail: str


Record = tuple[str, dict[str, Any]]


def whole(path: Path, items: Iterable[T | Fault]) -> list[T]:
    """The items, or one UserError: the first fault in detail and how many rows have it, too."""
    good, faults = list[T](), list[Fault]()
    for item in items:
        if isinstance(item, Fault):
            faults.append(item)
        else:
            good.append(item)
    if not faults:
        return good
    same = sum(fault.reason == faults[0].reason for fault in faults)
    counts = {"more with the same fault": same - 1, "with another": len(faults) - same}
    more = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    tail = f" (rows beside it: {more})" if more else ""
    raise UserError(f"{path}, {faults[0].where}: {faults[0].reason}: {faults[0].detail}{tail}")


def read_text(path: Path) -> str:
    """The text of a file, packed (.gz, .bz2) or not. Raises UserError if it is unreadable, cut off or no UTF-8."""
    try:
        data = path.read_bytes()
        data = (
            gzip.decompress(data)
            if path.suffix == ".gz"
            else bz2.decompress(data)
            if path.suffix == ".bz2"
            else data
        )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise unreadable(path, error) from error
    return decode(data, str(path))


def decode(data: bytes, where: str) -> str:
    """UTF-8 with or without a byte order mark, as text. Raises UserError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{where}, row {data.count(bytes([10]), 0, error.start) + 1}: byte 0x{data[error.start]:02x}"
        mend = "if it is Shift_JIS: iconv -f CP932 -t UTF-8 FILE"
        raise UserError(f"{where} is not UTF-8; allowed: UTF-8 only ({mend})") from error


def unreadable(path: Path, error: Exception) -> UserError:
    """A file that is there and cannot be read."""
    mend = f"it is damaged or cut off: get it again in place of {path.name}"
    if isinstance(error, PermissionError):
        mend = f"let yourself read it: chmod -R u+rX '{path}'"
    elif isinstance(error, IsADirectoryError):
        mend = "a file is allowed here, a folder only in format livedoor"
    return UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}; {mend}")


def exists(path: Path) -> bool:
    """Whether `path` is there; UserError where a folder above it may not be looked into."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def json_records(path: Path) -> Iterator[Record | Fault]:
    """(where, cells) of each line. Lines end in \\n alone: Japanese text may hold the other line ends of Unicode."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        try:
            cells = json.loads(line) if line.strip() else None
        except ValueError as error:
            yield Fault(
                f"row {number}",
                "not JSON, or cut off",
                f"{error}; allowed: one whole JSON object a line",
            )
            continue
        if isinstance(cells, dict):
            yield f"row {number}", cells
        elif line.strip():
            yield Fault(
                f"row {number}",
                "not a JSON object",
                'allowed: one object a line, as {"label": ...}',
            )


def csv_records(path: Path, delimiter: str) -> Iterator[Record | Fault]:
    """(where, cells by the header's names) of each row."""
    header = list[str]()
    # Strict, or a quote mark left open would swallow rows without a word.
    for item in csv_cells(io.StringIO(read_text(path), newline=""), delimiter, strict=True):
        if isinstance(item, Fault):
            yield item
        elif not header:
            header = item[1]
        elif len(item[1]) != len(header):
            detail = f"it has {len(item[1])}; allowed: {len(header)}, as in the header"
            yield Fault(item[0], "another number of columns", detail)
        else:
            yield item[0], dict(zip(header, item[1], strict=True))


def csv_cells(
    file: io.StringIO, delimiter: str, strict: bool
) -> Iterator[tuple[str, list[str]] | Fault]:
    """(the line it starts on, cells) of each row that is not blank."""
    csv.field_size_limit(1 << 30)
    reader, line = csv.reader(file, delimiter=delimiter, strict=strict), 1
    try:
        for cells in reader:
            if cells:
                yield f"row {line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        mend = 'a cell that starts with " must end with it, and a " inside such a cell is written twice'
        yield Fault(f"row {line}", "broken quotes", f"{error}; {mend}")


def picked(
    records: Iterable[Record | Fault], inputs: Sequence[str], label: str, key: str | None
) -> Iterator[Row | Fault]:
    """A Row of the named columns of each record; without `key` a column `id` is used where there is one."""
    needed = [*inputs, label, *([key] if key else [])]
    for record in records:
        if isinstance(record, Fault):
            yield record
            continue
        where, cells = record
        absent = next((column for column in needed if column not in cells), None)
        if absent is None:
            texts = tuple(text_of(cells[name]) for name in inputs)
            yield Row(where, text_of(cells.get(key or "id")), texts, text_of(cells[label]))
        else:
            detail = f"it has {', '.join(cells)}{did_you_mean(absent, cells)}"
            yield Fault(
                where,
                f"no column '{absent}'",
                f"{detail} (other names: gold.columns in the task's YAML)",
            )


def text_of(value: object) -> str:
    """A cell as text; null, a list or an object is none."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, (list, dict)) else json.dumps(value)
