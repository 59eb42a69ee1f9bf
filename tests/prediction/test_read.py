"""Reading: never more than a few chunks in memory, and finished rows are passed over."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from japagen.config.error import UserError
from japagen.prediction import lines as lines_
from japagen.prediction.chunk import Source
from japagen.prediction.jsonl import Jsonl
from japagen.prediction.parquet import Parquet, exact
from japagen.prediction.table import Table, records
from tests.prediction.inputs import FORMATS, write

OPEN: dict[str, Callable[[Path], Source]] = {
    "jsonl": lambda path: Jsonl(path, ["text"]),
    "csv": lambda path: Table(path, ["text"], ","),
    "tsv": lambda path: Table(path, ["text"], "\t"),
    "parquet": lambda path: Parquet(path, ["text"], None),
}
CHUNK = 100


def many(path: Path, rows: int) -> Path:
    """Write rows with texts of 100 characters that differ."""
    return write(path, [{"id": str(n), "text": f"{n:09}" + "あ" * 91} for n in range(rows)])


def peak(source: Source, allocated: Callable[[], int]) -> int:
    """Return the most bytes that were held when a chunk came; its rows are checked."""
    most, rows, before = 0, 0, allocated()
    for chunk in source.chunks(CHUNK, 0):
        assert len(chunk.texts) <= CHUNK
        rows += len(chunk.texts)
        most = max(most, allocated() - before)
    assert rows % CHUNK == 0
    return most


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_text_is_read_in_chunks(tmp_path: Path, form: str) -> None:
    peaks = []
    for rows in (300, 6000):
        source = OPEN[form](many(tmp_path / f"{rows}.{form}", rows))
        tracemalloc.start()
        source.layout()
        peak(source, lambda: 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 2
    assert peaks[1] < tmp_path.joinpath(f"6000.{form}").stat().st_size / 4


@pytest.mark.slow
def test_parquet_is_read_in_chunks(tmp_path: Path) -> None:
    peaks = []
    for groups in (2, 20):
        rows = [{"text": f"{n:09}" + "あ" * 2000} for n in range(groups * 500)]
        path = tmp_path / f"{groups}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=500, compression="none")
        peaks.append(peak(OPEN["parquet"](path), pa.total_allocated_bytes))
    assert peaks[1] < peaks[0] * 1.5
    assert peaks[1] < tmp_path.joinpath("20.parquet").stat().st_size / 4


@pytest.mark.parametrize("form", FORMATS)
def test_a_chunk_says_where_the_next_one_starts(tmp_path: Path, form: str) -> None:
    source = OPEN[form](many(tmp_path / f"in.{form}", 50))
    chunks = list(source.chunks(7, 0))
    assert [len(chunk.texts) for chunk in chunks] == [7] * 7 + [1]
    assert chunks[-1].position == source.size
    for number, chunk in enumerate(chunks):
        rest = list(source.chunks(7, chunk.position))
        assert [one.texts for one in rest] == [one.texts for one in chunks[number + 1 :]]
        assert [one.position for one in rest] == [one.position for one in chunks[number + 1 :]]


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_finished_text_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    source = OPEN[form](many(tmp_path / f"in.{form}", 50))
    *_, before, _last = source.chunks(7, 0)
    read = list[bytes]()
    real = lines_.Lines.__next__

    def counted(self: lines_.Lines) -> bytes:
        read.append(real(self))
        return read[-1]

    monkeypatch.setattr(lines_.Lines, "__next__", counted)
    assert len(list(source.chunks(7, before.position))) == 1
    assert len(read) == 1


def test_finished_row_groups_are_not_read_again(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"text": str(n)} for n in range(100)])
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=10)
    source = Parquet(tmp_path / "in.parquet", ["text"], None)
    groups = list[range]()
    real = source.file.iter_batches

    def watched(*arguments: Any, row_groups: range, **options: Any) -> Any:
        groups.append(row_groups)
        return real(*arguments, row_groups=row_groups, **options)

    class File:
        def __getattr__(self, name: str) -> Any:
            return watched if name == "iter_batches" else getattr(real.__self__, name)

    source.file = File()
    rows = [text for chunk in source.chunks(7, 84) for (text,) in chunk.texts]
    assert rows == [str(n) for n in range(84, 100)]
    assert groups == [range(8, 10)]


def test_columns_that_are_not_kept_are_not_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "a.b": ["c"], "big": ["d"]}), tmp_path / "in.parquet")
    source = Parquet(tmp_path / "in.parquet", ["text"], ["a.b"])
    (table,) = source.tables(10, 0)
    assert table.column_names == ["text", "a.b"]
    (chunk,) = source.chunks(10, 0)
    assert chunk.values.column_names == ["a.b"]


@pytest.mark.parametrize("sizes", [[], [0], [5], [1, 1, 1], [0, 9, 0, 2], [3, 3], [2, 10, 1]])
def test_tables_of_the_same_size(sizes: list[int]) -> None:
    numbers = iter(range(100))
    tables = [pa.table({"n": pa.array([next(numbers) for _ in range(n)], "int64")}) for n in sizes]
    found = [table["n"].to_pylist() for table in exact(iter(tables), 3)]
    assert [len(one) for one in found[:-1]] == [3] * (len(found) - 1)
    assert [n for one in found for n in one] == list(range(sum(sizes)))


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('a\tb\n"c\td"\te\n', [["a", "b"], ["c\td", "e"]]),
        ('a\t"b\nc"\nd\te\n', [["a", "b\nc"], ["d", "e"]]),
        ('a\t"b\nc\td"\n', [["a", '"b'], ["c", 'd"']]),  # quotation marks that are text
        ('a\t"b\nc\td\n', [["a", '"b'], ["c", "d"]]),
        ('a\t"b" c\nd\te', [["a", '"b" c'], ["d", "e"]]),
        ("a\tb\r\n\r\n\nc\td\r\n", [["a", "b"], ["c", "d"]]),
    ],
)
def test_quotation_marks_in_tsv(tmp_path: Path, text: str, cells: list[list[str]]) -> None:
    (tmp_path / "in.tsv").write_text(text, newline="")
    with lines_.Lines(tmp_path / "in.tsv") as found:
        assert list(records(found, "\t", 2)) == [(row, "") for row in cells]
        assert found.position == len(text)


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_, "MAX_LINE", 10)
    (tmp_path / "in.jsonl").write_bytes(b'{"a": 1}\n' + b"x" * 11)
    with pytest.raises(UserError, match="line at byte 9 is longer than 10 bytes"):
        Jsonl(tmp_path / "in.jsonl", ["a"]).layout()
