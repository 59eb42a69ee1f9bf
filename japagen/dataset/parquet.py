"""train.parquet: the rows of train.jsonl with typed columns, for `datasets` and the hub."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from japagen.config.task import Task
from japagen.dataset.table import PARQUET, TABLE

ROWS = 10_000  # in one row group


def write(folder: Path, task: Task) -> None:
    """Write train.parquet from train.jsonl of the same folder: whole, or not at all."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    part, schema = folder / f"{PARQUET}.part", schema_of(task, is_mixed(folder / TABLE))
    with ParquetWriter(part, schema) as writer:
        for group in groups(folder / TABLE, task):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.replace(folder / PARQUET)


def is_mixed(table: Path) -> bool:
    """Whether the rows of a table have the name of the LLM that wrote them."""
    with table.open(encoding="utf-8") as lines:
        return "llm" in json.loads(next(lines, "{}"))


def schema_of(task: Task, mixed: bool = False) -> Any:
    """Return the columns' types: labels are numbers of classes, of a regression floats.

    The names of the classes are where `datasets` writes and reads them.
    """
    import pyarrow as pa

    label = "float64" if task.kind == "regression" else "int64"
    columns = [("id", "string"), *((name, "string") for name in task.inputs), ("label", label)]
    columns += [("llm", "string")] if mixed else []
    features: dict[str, Any] = {name: {"dtype": kind, "_type": "Value"} for name, kind in columns}
    if task.kind != "regression":
        features["label"] = {"names": list(task.labels), "_type": "ClassLabel"}
    info = json.dumps({"info": {"features": features}}, ensure_ascii=False)
    kinds = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}
    fields = [pa.field(name, kinds[kind]) for name, kind in columns]
    return pa.schema(fields, metadata={"huggingface": info})


def groups(table: Path, task: Task) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table in groups, with typed labels."""
    numbers: dict[str, float] = {label: number for number, label in enumerate(task.labels)}
    if task.kind == "regression":
        numbers = {label: float(label) for label in task.labels}
    with table.open(encoding="utf-8") as lines:
        found = map(json.loads, lines)
        typed = ({**row, "label": numbers[row["label"]]} for row in found)
        while group := list(itertools.islice(typed, ROWS)):
            yield group
