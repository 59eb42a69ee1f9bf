"""`japagen predict` from file to file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from japagen.student.predictor import Predictor
from tests.prediction.inputs import (
    FORMATS,
    LABELS,
    ONE,
    ROWS,
    SCORE,
    TEXTS,
    TWO,
    predict,
    read,
    saved,
    write,
)

PAIRS = [(one, other) for one in FORMATS for other in FORMATS]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("student") / "s", ONE)


@pytest.fixture(scope="module")
def expected(student: Path) -> list[dict[str, Any]]:
    """The answers of the predictor, not all the same label."""
    found = Predictor(student, "torch", threads=1).predict([(text,) for text in TEXTS])
    assert len({one["probability"] for one in found}) > 3
    return found


@pytest.mark.parametrize(("form", "other"), PAIRS)
def test_each_format_becomes_each_format(
    tmp_path: Path, student: Path, expected: list[dict[str, Any]], form: str, other: str
) -> None:
    source = write(tmp_path / f"in.{form}", ROWS)
    output = tmp_path / f"out.{other}"
    assert predict(student, source, output) == 0
    found = read(output)
    assert [{key: row[key] for key in ROWS[0]} for row in found] == ROWS
    assert list(found[0]) == ["id", "text", "note", "predicted", "probability", "error"]
    assert [row["predicted"] for row in found] == [one["predicted"] for one in expected]
    for row, one in zip(found, expected, strict=True):
        assert float(row["probability"]) == one["probability"]
        assert row["error"] == ""
    assert not (tmp_path / f"out.{other}.parts").exists()


@pytest.mark.parametrize("chunk", ["1", "2", "4", "9", "100"])
@pytest.mark.parametrize("form", FORMATS)
def test_the_chunk_changes_neither_rows_nor_order(
    tmp_path: Path, student: Path, expected: list[dict[str, Any]], form: str, chunk: str
) -> None:
    source = write(tmp_path / f"in.{form}", ROWS)
    output = tmp_path / f"out.{form}"
    assert predict(student, source, output, "--chunk", chunk) == 0
    found = read(output)
    assert [row["text"] for row in found] == TEXTS
    for row, one in zip(found, expected, strict=True):
        assert row["predicted"] == one["predicted"]
        assert float(row["probability"]) == pytest.approx(one["probability"], abs=2e-6)


def test_probabilities_of_all_labels(tmp_path: Path, student: Path) -> None:
    source = write(tmp_path / "in.jsonl", ROWS)
    assert predict(student, source, tmp_path / "out.jsonl", "--probabilities") == 0
    for row in read(tmp_path / "out.jsonl"):
        shares = {label: row[f"p({label})"] for label in LABELS}
        assert sum(shares.values()) == pytest.approx(1, abs=2e-6)
        assert max(shares, key=shares.__getitem__) == row["predicted"]
        assert shares[row["predicted"]] == row["probability"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_regression_gives_numbers(tmp_path: Path, form: str) -> None:
    student = saved(tmp_path / "s", SCORE)
    source = write(tmp_path / "in.jsonl", [*ROWS, {**ROWS[0], "text": ""}])
    output = tmp_path / f"out.{form}"
    assert predict(student, source, output, "--probabilities") == 0
    *good, bad = read(output)
    assert list(bad) == ["id", "text", "note", "predicted", "error"]
    expected = Predictor(student, "torch", threads=1).predict([(text,) for text in TEXTS])
    values = [one["predicted"] for one in expected]
    assert [float(row["predicted"]) for row in good] == pytest.approx(values, abs=1e-6)
    assert (bad["predicted"], bad["error"]) in [("", "'text' is empty"), (None, "'text' is empty")]


def test_columns_of_other_names(tmp_path: Path) -> None:
    student = saved(tmp_path / "s", TWO)
    plain = [{"sentence1": one["text"], "sentence2": one["id"]} for one in ROWS]
    other = [{"b": one["text"], "sentence2": one["id"]} for one in ROWS]
    for name, rows, options in (("a", plain, []), ("b", other, ["--columns", "sentence1=b"])):
        source = write(tmp_path / f"{name}.csv", rows)
        assert predict(student, source, tmp_path / f"{name}.jsonl", *options) == 0
    answers = [
        [row["probability"] for row in read(tmp_path / f"{name}.jsonl")] for name in ("a", "b")
    ]
    assert answers[0] == answers[1]
    swapped = ["--columns", "sentence1=sentence2", "sentence2=sentence1"]
    assert predict(student, tmp_path / "a.csv", tmp_path / "c.jsonl", *swapped) == 0
    assert [row["probability"] for row in read(tmp_path / "c.jsonl")] != answers[0]


@pytest.mark.parametrize("form", FORMATS)
def test_only_the_columns_to_keep(tmp_path: Path, student: Path, form: str) -> None:
    source = write(tmp_path / f"in.{form}", ROWS)
    assert predict(student, source, tmp_path / "a.csv", "--keep", "note", "id") == 0
    assert list(read(tmp_path / "a.csv")[0]) == ["id", "note", "predicted", "probability", "error"]
    assert [row["id"] for row in read(tmp_path / "a.csv")] == [row["id"] for row in ROWS]
    for suffix in FORMATS:
        assert predict(student, source, tmp_path / f"b.{suffix}", "--keep") == 0
        assert list(read(tmp_path / f"b.{suffix}")[0]) == ["predicted", "probability", "error"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_no_rows_and_one_row(tmp_path: Path, student: Path, form: str, other: str) -> None:
    source = write(tmp_path / f"in.{form}", [], ["id", "text"])
    output = tmp_path / f"out.{other}"
    assert predict(student, source, output) == 0
    assert read(output) == []
    known = [] if form == "jsonl" else ["id", "text"]
    names = [*known, "predicted", "probability", "error"]
    if other == "parquet":
        assert pq.read_schema(output).names == names
    elif other != "jsonl":
        assert output.read_text("utf-8").splitlines() == [",".join(names).replace(",", sep(other))]
    write(source, ROWS[:1])
    assert predict(student, source, output, "--overwrite") == 0
    assert [row["id"] for row in read(output)] == ["0"]


def sep(form: str) -> str:
    return "\t" if form == "tsv" else ","


def test_parquet_keeps_its_schema(tmp_path: Path, student: Path) -> None:
    schema = pa.schema(
        [
            pa.field("n", pa.int16(), nullable=False),
            pa.field("text", pa.large_string()),
            pa.field("when", pa.timestamp("ms")),
            pa.field("kind", pa.dictionary(pa.int8(), pa.string())),
            pa.field("list", pa.list_(pa.float32())),
            pa.field("raw", pa.binary()),
        ],
        {b"made": b"here"},
    )
    rows = [
        {"n": n, "text": "犬", "when": n, "kind": "ab"[n % 2], "list": [n / 2], "raw": b"\xff"}
        for n in range(10)
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=3)
    assert predict(student, tmp_path / "in.parquet", tmp_path / "o.parquet", "--chunk", "4") == 0
    found = pq.read_table(tmp_path / "o.parquet")
    assert found.select(schema.names).cast(schema).equals(table)
    assert [found.schema.field(name) for name in schema.names] == list(schema)
    assert (found.schema.metadata or {}).get(b"made") == b"here"
    file = pq.ParquetFile(tmp_path / "o.parquet")
    sizes = [file.metadata.row_group(number).num_rows for number in range(3)]
    assert sizes == [4, 4, 2]
    assert predict(student, tmp_path / "in.parquet", tmp_path / "o.jsonl") == 0
    first = read(tmp_path / "o.jsonl")[1]
    assert first["when"].startswith("1970-01-01 00:00:00.001")
    assert (first["n"], first["kind"], first["list"], first["raw"]) == (1, "b", [0.5], "/w==")


def test_the_types_of_json(tmp_path: Path, student: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "text": "犬",
            "i": 1,
            "f": 1,
            "b": True,
            "m": 1,
            "o": {"鍵": [1]},
            "big": 1 << 60,
            "n": None,
        },
        {
            "text": "猫",
            "i": -2,
            "f": 0.5,
            "b": None,
            "m": "二",
            "o": None,
            "big": 2,
            "huge": 1 << 70,
        },
    ]
    source = write(tmp_path / "in.jsonl", rows)
    assert predict(student, source, tmp_path / "o.parquet") == 0
    table = pq.read_table(tmp_path / "o.parquet")
    types = {name: str(table.schema.field(name).type) for name in table.column_names[:-3]}
    whole = {"i": "int64", "f": "double", "b": "bool", "big": "int64"}
    strings = dict.fromkeys(("text", "m", "o", "n", "huge"), "string")
    assert types == {**whole, **strings}
    assert table["m"].to_pylist() == ["1", "二"]
    assert table["o"].to_pylist() == ['{"鍵": [1]}', None]
    assert table["huge"].to_pylist() == [None, str(1 << 70)]
    assert predict(student, source, tmp_path / "o.jsonl") == 0
    for before, after in zip(rows, read(tmp_path / "o.jsonl"), strict=True):
        assert {key: after[key] for key in before} == before
        assert list(after)[: len(before)] == list(before)


def test_a_format_that_the_name_does_not_show(tmp_path: Path, student: Path) -> None:
    source = write(tmp_path / "in.tsv", ROWS).rename(tmp_path / "rows.txt")
    assert predict(student, source, tmp_path / "o.jsonl", "--format", "tsv") == 0
    assert [row["text"] for row in read(tmp_path / "o.jsonl")] == TEXTS


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, student: Path, form: str) -> None:
    source = write(tmp_path / f"in.{form}", [{"text": "犬"}, {"text": "猫"}])
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    assert predict(student, source, tmp_path / "o.jsonl", "--chunk", "1") == 0
    assert [row["text"] for row in read(tmp_path / "o.jsonl")] == ["犬", "猫"]


def test_an_answer_that_is_no_number_is_a_bad_row(tmp_path: Path) -> None:
    student = saved(tmp_path / "s", ONE, [0.0, float("nan"), 0.0])
    source = write(tmp_path / "in.jsonl", ROWS[:2])
    assert predict(student, source, tmp_path / "o.jsonl", "--strict") == 3
    for row in read(tmp_path / "o.jsonl"):
        assert row["predicted"] is None
        assert row["error"] == "the student's output is not a number"


@pytest.mark.slow
def test_the_command_is_reached(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tests.commands import start

    student = saved(tmp_path / "s", ONE)
    write(tmp_path / "in.jsonl", ROWS)
    files = ["--input", "in.jsonl", "--output", "new/o.jsonl"]
    done = start(tmp_path, "-m", "japagen", "predict", str(student), *files)
    assert (done.returncode, done.stdout) == (0, "9 rows: new/o.jsonl\n")
    assert len(read(tmp_path / "new/o.jsonl")) == 9
    assert json.loads((student / "japagen.json").read_text("utf-8"))["task"]["name"] == "one"
