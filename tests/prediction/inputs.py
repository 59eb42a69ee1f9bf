"""Students, rows and files for the tests of japagen.prediction."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from japagen.config.task import Task
from japagen.prediction.command import main
from tests.student.test_labeller import saved

LABELS = ["良い", "悪い", "普通"]
ONE = Task(name="one", inputs=["text"], labels=LABELS)
TWO = Task(name="two", inputs=["sentence1", "sentence2"], labels=LABELS)
SCORE = Task(name="score", kind="regression", inputs=["text"], labels=["0", "5"])
FORMATS = ["jsonl", "csv", "tsv", "parquet"]

TEXTS = [
    "犬が走る",
    '彼は"はい"と言った',
    "一行目\n二行目",
    "タブ\tがある、カンマ, も",
    "windows\r\nの改行",
    "行\u2028区切り",
    "とても長い文がここにある、そしてまだ続いている",
    '"',
    "𠮷野家😀",
]
ROWS: list[dict[str, Any]] = [
    {"id": str(number), "text": text, "note": "注" * (number % 3)}
    for number, text in enumerate(TEXTS)
]

__all__ = ["FORMATS", "LABELS", "ONE", "ROWS", "SCORE", "TEXTS", "TWO", "main", "saved"]


def write(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> Path:
    """Write rows with the libraries that users have, by the suffix of `path`."""
    columns = list(columns or rows[0])
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        arrays = {name: [row[name] for row in rows] for name in columns}
        schema = None if rows else pa.schema([(name, pa.string()) for name in columns])
        pq.write_table(pa.table(arrays, schema=schema), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, delimiter=delimiter(path))
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter(path), strict=True))


def delimiter(path: Path) -> str:
    """Return what separates the cells of a file."""
    return "\t" if path.suffix == ".tsv" else ","


def predict(student: Path, source: Path, output: Path, *options: str) -> int:
    """Run the command in this process."""
    files = ["--input", str(source), "--output", str(output)]
    return main([str(student), *files, "--backend", "torch", "--threads", "1", *options])
