"""Chunks of a parquet file, as Arrow tables."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.prediction.chunk import Chunk, Layout, fault, whole

BUFFER = 1 << 20  # bytes read at a time from each column


class Parquet:
    """A parquet file. `inputs`: the columns with the student's texts; `keep`: those to copy."""

    def __init__(self, path: Path, inputs: Sequence[str], keep: Sequence[str] | None) -> None:
        self.path, self.inputs = path, inputs
        self.file = opened(path)
        self.size: int = self.file.metadata.num_rows
        self.schema = self.file.schema_arrow
        self.keep = [name for name in self.schema.names if keep is None or name in keep]

    def layout(self) -> Layout:
        """Return the columns of the file."""
        return Layout(self.schema.names, [], self.size)

    def chunks(self, rows: int, position: int) -> Iterator[Chunk]:
        """Yield chunks of `rows` rows from row `position` on."""
        for table in exact(self.tables(rows, position), rows):
            cells = list(zip(*(values(table[name]) for name in self.inputs), strict=True))
            errors = [fault(self.inputs, one) for one in cells]
            position += table.num_rows
            yield Chunk(table.select(self.keep), cells, errors, position)

    def tables(self, rows: int, position: int) -> Iterator[Any]:
        """Yield tables of at most `rows` rows from row `position` on; earlier groups are unread."""
        import pyarrow as pa

        group = 0
        while group < self.file.num_row_groups:
            size = self.file.metadata.row_group(group).num_rows
            if position < size:
                break
            position -= size
            group += 1
        names = [name for name in self.schema.names if name in {*self.keep, *self.inputs}]
        groups = range(group, self.file.num_row_groups)
        for batch in self.file.iter_batches(rows, row_groups=groups, columns=names):
            skipped = min(position, batch.num_rows)
            position -= skipped
            yield pa.Table.from_batches([batch.slice(skipped)])


def opened(path: Path) -> Any:
    """Return the file, read through small buffers instead of a row group at a time."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a parquet file or is cut off: {error}") from error


def exact(tables: Iterator[Any], rows: int) -> Iterator[Any]:
    """Yield the same rows in tables of `rows` rows; the last has what remains."""
    import pyarrow as pa

    waiting, count = list[Any](), 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        while count >= rows:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, rows)
            waiting, count = [joined.slice(rows)], count - rows
    if count:
        yield pa.concat_tables(waiting)


def values(column: Any) -> list[Any]:
    """Return a column as Python values; bytes that are not UTF-8 become lone surrogates."""
    import pyarrow as pa

    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        found = [
            None if one is None else one.decode("utf-8", "surrogateescape")
            for one in column.cast(pa.large_binary()).to_pylist()
        ]
    return found


def rows_of(table: Any) -> list[dict[str, Any]]:
    """Return the rows with values that JSON has: times and decimals as text, bytes in base64."""
    import pyarrow as pa

    types, columns = pa.types, []
    texts = types.is_timestamp, types.is_date, types.is_time, types.is_decimal
    for column in table.columns:
        if any(is_(column.type) for is_ in texts):
            column = column.cast(pa.string())
        columns.append([plain(value) for value in values(column)])
    names = table.column_names
    if not names:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def plain(value: Any) -> Any:
    """Return a value without bytes and lone surrogates."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return whole(value) if isinstance(value, str) else value
