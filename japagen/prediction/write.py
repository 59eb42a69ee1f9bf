"""Parts of the output in each format, and the whole that they become."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.prediction.chunk import Chunk, whole

LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str)
ESCAPED = json.JSONEncoder(ensure_ascii=True, default=str)  # writes half of a surrogate pair
SPECIAL = re.compile('[",\t\r\n]')
DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True)
class Shape:
    """The output's columns: `kept` from the input, then `added` (name -> Arrow type).

    `types`: the Arrow types of `kept` if the input is a text file. `schema`: the Arrow schema of
    a parquet input.
    """

    kept: Sequence[str]
    types: Sequence[str]
    added: Mapping[str, str]
    schema: Any = None

    def names(self) -> list[str]:
        """Return the names of all columns."""
        return [*self.kept, *self.added]


Answers = Sequence[Mapping[str, Any]]  # for each row the values of Shape.added


def write_part(path: Path, form: str, chunk: Chunk, answers: Answers, shape: Shape) -> None:
    """Write the rows of a chunk with their answers as a part of a file in format `form`."""
    if form == "parquet":
        write_parquet(path, chunk, answers, shape)
        return
    rows = chunk.values
    if not isinstance(rows, list):
        from japagen.prediction.parquet import rows_of

        rows = rows_of(rows)
    line = json_line(shape) if form == "jsonl" else table_line(shape, DELIMITERS[form])
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(map(line, rows, answers))


def json_line(shape: Shape) -> Callable[[Mapping[str, Any], Mapping[str, Any]], str]:
    """Return a function from a row and its answer to a line of JSON."""
    kept = set(shape.kept)

    def line(row: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        return json_text({**{key: row[key] for key in row if key in kept}, **answer}) + "\n"

    return line


def json_text(value: Any) -> str:
    """Return valid JSON in valid UTF-8: null for NaN and infinity, escapes for surrogates."""
    try:
        text = LINE.encode(value)
    except ValueError:
        text = LINE.encode(finite(value))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return ESCAPED.encode(finite(value))
    return text


def finite(value: Any) -> Any:
    """Return `value` with None for numbers that JSON cannot write."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table_line(
    shape: Shape, delimiter: str
) -> Callable[[Mapping[str, Any], Mapping[str, Any]], str]:
    """Return a function from a row and its answer to a line of a table."""

    def line(row: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        cells = [quoted(row.get(name)) for name in shape.kept]
        return delimiter.join([*cells, *map(quoted, answer.values())]) + "\n"

    return line


def quoted(value: Any) -> str:
    """Return a value as a cell, in quotation marks where needed."""
    text = cell(value)
    return '"' + text.replace('"', '""') + '"' if SPECIAL.search(text) else text


def cell(value: Any) -> str:
    """Return a value as text: a string as it is, "" for null and NaN, anything else as JSON."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return "" if value is None else whole(json_text(value))


def schema_of(shape: Shape) -> Any:
    """Return the Arrow schema of the output."""
    import pyarrow as pa

    if shape.schema is None:
        fields = list(map(pa.field, shape.kept, map(pa.type_for_alias, shape.types)))
        metadata = None
    else:
        fields = [shape.schema.field(name) for name in shape.kept]
        metadata = shape.schema.metadata
    added = [pa.field(name, pa.type_for_alias(type_)) for name, type_ in shape.added.items()]
    return pa.schema([*fields, *added], metadata)


def write_parquet(path: Path, chunk: Chunk, answers: Answers, shape: Shape) -> None:
    """Write a part as a parquet file."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    schema = schema_of(shape)
    if isinstance(chunk.values, list):
        columns = [
            array([row.get(name) for row in chunk.values], type_)
            for name, type_ in zip(shape.kept, shape.types, strict=True)
        ]
    else:
        columns = list(chunk.values.columns)
    added = [
        pa.array([one[name] for one in answers], pa.type_for_alias(type_))
        for name, type_ in shape.added.items()
    ]
    write_table(pa.Table.from_arrays([*columns, *added], schema=schema), path)


def array(column: Sequence[Any], type_: str) -> Any:
    """Return values of a text file as an Arrow array."""
    import pyarrow as pa

    if type_ == "string":
        column = [None if value is None else cell(value) for value in column]
    elif type_ == "double":
        column = [None if value is None else float(value) for value in column]
    return pa.array(column, pa.type_for_alias(type_))


def join(path: Path, form: str, parts: Sequence[Path], shape: Shape) -> None:
    """Write one file with the rows of all parts, holding one part at a time."""
    if form == "parquet":
        join_parquet(path, parts, shape)
        return
    with path.open("wb") as file:
        if form in DELIMITERS:
            header = DELIMITERS[form].join(map(quoted, shape.names()))
            file.write((header + "\n").encode())
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)


def join_parquet(path: Path, parts: Sequence[Path], shape: Shape) -> None:
    """Write a parquet file with a row group for each part."""
    from pyarrow.parquet import ParquetWriter, read_table

    schema = schema_of(shape)
    with ParquetWriter(path, schema) as writer:
        for part in parts:
            table = read_table(part, partitioning=None, use_threads=False)
            if table.schema.names != schema.names:
                raise UserError(f"{part} is damaged. Delete {part.parent} and start again")
            writer.write_table(table, row_group_size=max(1, table.num_rows))
