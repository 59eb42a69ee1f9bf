"""Rows of a gold file before the task's labels are applied, and what is wrong with a row."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from japagen.config.error import UserError, did_you_mean
from japagen.text.visible import visible

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its place in the file, id ("" if none), texts, label and split ("" if none)."""

    where: str
    id: str
    texts: tuple[str, ...]
    label: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad row. `reason` is the same text for the same fault; `detail` has value and advice."""

    where: str
    reason: str
    detail: str


Record = tuple[str, dict[str, Any]]  # (place in the file, cells by column)


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns to read; `id` and `split` are None where the task names none."""

    inputs: Sequence[str]
    label: str
    id: str | None = None
    split: str | None = None

    def needed(self) -> list[str]:
        """Every column that must exist."""
        return [*self.inputs, self.label, *(name for name in (self.id, self.split) if name)]


def without_faults(path: Path, items: Iterable[T | Fault]) -> list[T]:
    """The items. Raises UserError with the first fault and the number of others."""
    good, faults = list[T](), list[Fault]()
    for item in items:
        if isinstance(item, Fault):
            faults.append(item)
        else:
            good.append(item)
    if not faults:
        return good
    first = faults[0]
    same = sum(fault.reason == first.reason for fault in faults) - 1
    counts = {"with the same fault": same, "with another fault": len(faults) - 1 - same}
    others = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    tail = f" (other rows: {others})" if others else ""
    raise UserError(f"{path}, {first.where}: {first.reason}: {first.detail}{tail}")


def rows(records: Iterable[Record | Fault], columns: Columns) -> Iterator[Row | Fault]:
    """A Row of each record. Without `columns.id` a column named `id` is used if there is one."""
    needed = [plain(name) for name in columns.needed()]
    inputs, label = [plain(name) for name in columns.inputs], plain(columns.label)
    id_column, split = plain(columns.id or "id"), plain(columns.split or "")
    for record in records:
        if isinstance(record, Fault):
            yield record
            continue
        where, cells = record[0], {plain(name): cell for name, cell in record[1].items()}
        if len(cells) < len(record[1]) and (fault := doubled_column(record, {*needed, id_column})):
            yield fault
            continue
        if fault := missing_column(where, cells, needed):
            yield fault
            continue
        texts = tuple(text_of(cells[name]) for name in inputs)
        row_split = text_of(cells[split]) if split else ""
        yield Row(where, text_of(cells.get(id_column)), texts, text_of(cells[label]), row_split)


def missing_column(where: str, cells: Mapping[str, Any], needed: Sequence[str]) -> Fault | None:
    """The fault of a record that lacks one of the `needed` columns."""
    absent = next((column for column in needed if column not in cells), None)
    if absent is None:
        return None
    detail = f"it has {', '.join(cells)}{did_you_mean(absent, cells)}"
    return Fault(
        where, f"no column '{absent}'", f"{detail} (other names: gold.columns in the task's YAML)"
    )


def doubled_column(record: Record, needed: set[str]) -> Fault | None:
    """The fault of a record in which two names look the same as one of the `needed` columns."""
    names = (plain(name) for name in record[1])
    if name := doubled(name for name in names if name in needed):
        return Fault(record[0], f"two columns look like '{name}'", "allowed: each name once")
    return None


def doubled(names: Iterable[str]) -> str:
    """The first name that is there more than once, or ""."""
    return next((name for name, count in Counter(names).items() if count > 1), "")


def text_of(value: object) -> str:
    """A cell as text; null, a list and an object are the empty text."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, (list, dict)) else json.dumps(value)


@functools.lru_cache(maxsize=1024)
def plain(name: str) -> str:
    """A label or the name of a column as it looks: in NFC, without what shows nothing around it.

    Files have them with a byte order mark, zero-width spaces or spaces, which nobody sees.
    """
    return visible(name).strip()
