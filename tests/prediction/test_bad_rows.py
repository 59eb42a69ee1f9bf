"""Bad rows stay in the output, in their place, with a reason."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.prediction.inputs import FORMATS, ONE, TWO, predict, read, saved

JSON_LINES: list[tuple[bytes, str]] = [
    ('{"text": "犬"}'.encode(), ""),
    (b'{"text": null}', "'text' is null"),
    (b'{"text": 5}', "'text' is not a string but int"),
    (b'{"text": ["a"]}', "'text' is not a string but list"),
    (b'{"text": ""}', "'text' is empty"),
    ('{"text": " 　\\n"}'.encode(), "'text' is empty"),
    (b'{"other": "a"}', "no column 'text'"),
    (b'{"text": "cut', "not JSON: "),
    (b"[1]", "not a JSON object"),
    (b'{"text": "\\ud83d"}', "'text' has half of a surrogate pair"),
    (b'{"text": "\xff"}', "not UTF-8: byte 0xff"),
    (b"[" * 100_000, "not JSON: "),
    (b"1" * 5000, "not"),
    ('{"text": "猫", "id": NaN}'.encode(), ""),
]
TABLE_LINES: list[tuple[str, str]] = [
    ("1,犬", ""),
    ("2,", "'text' is empty"),
    ("3,　 ", "'text' is empty"),
    ("4", "1 cells instead of 2"),
    ("5,a,b", "3 cells instead of 2"),
    ('6,"a"b', "broken row: "),
    ("7,猫", ""),
    ('"八\n目",鳥', ""),
    ("9,\udcff", "not UTF-8: byte 0xff"),
    ("10,馬", ""),
]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("student") / "s", ONE)


def check(output: Path, reasons: list[str]) -> None:
    """Check which rows are bad, and that only good ones have a prediction."""
    found = read(output)
    assert len(found) == len(reasons)
    for row, reason in zip(found, reasons, strict=True):
        assert row["error"].startswith(reason)
        assert bool(row["error"]) == bool(reason)
        assert (row["predicted"] in (None, "")) == bool(reason)
        assert (row["probability"] in (None, "")) == bool(reason)


@pytest.mark.parametrize("chunk", ["3", "100"])
@pytest.mark.parametrize("other", FORMATS)
def test_json(tmp_path: Path, student: Path, other: str, chunk: str) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / f"o.{other}"
    source.write_bytes(b"\n \n".join(line for line, _ in JSON_LINES) + b"\n")
    assert predict(student, source, output, "--chunk", chunk) == 0
    check(output, [reason for _, reason in JSON_LINES])


@pytest.mark.parametrize("chunk", ["3", "100"])
@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_tables(tmp_path: Path, student: Path, form: str, other: str, chunk: str) -> None:
    source, output = tmp_path / f"in.{form}", tmp_path / f"o.{other}"
    text = "\n".join(["id,text", *(line for line, _ in TABLE_LINES)])
    text = text.replace(",", "\t") if form == "tsv" else text
    source.write_text(text, encoding="utf-8", errors="surrogateescape")
    lines = [(line, reason) for line, reason in TABLE_LINES]
    if form == "tsv":  # there the quotation marks of this row are text
        lines[5] = (lines[5][0], "")
    assert predict(student, source, output, "--chunk", chunk) == 0
    check(output, [reason for _, reason in lines])
    assert [row["id"] for row in read(output)][6:] == ["7", "八\n目", "9", "10"]
    if form == "tsv":
        assert read(output)[5]["text"] == '"a"b'


@pytest.mark.parametrize("other", FORMATS)
def test_parquet(tmp_path: Path, student: Path, other: str) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / f"o.{other}"
    raw = [b"\xe7\x8a\xac", None, b"", b" ", b"\xff", b"\xed\xa0\x80"]
    texts = pa.array(raw, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": range(6), "text": texts}), source)
    options = [] if other == "parquet" else ["--keep", "id", "text"]
    assert predict(student, source, output, *options) == 0
    half = "'text' has half of a surrogate pair"
    reasons = ["", "'text' is null", "'text' is empty", "'text' is empty", half, half]
    if other == "parquet":
        table = pq.read_table(output, columns=["id", "predicted", "probability", "error"])
        pq.write_table(table, output)
    check(output, reasons)


def test_numbers_are_no_texts(tmp_path: Path, student: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "in.parquet")
    assert predict(student, tmp_path / "in.parquet", tmp_path / "o.jsonl") == 0
    check(tmp_path / "o.jsonl", ["'text' is not a string but int"] * 2)


def test_one_bad_text_of_a_pair(tmp_path: Path) -> None:
    student = saved(tmp_path / "s", TWO)
    rows = '{"sentence1": "a", "sentence2": ""}\n{"sentence1": "a", "sentence2": "b"}\n'
    (tmp_path / "in.jsonl").write_text(rows)
    assert predict(student, tmp_path / "in.jsonl", tmp_path / "o.jsonl") == 0
    check(tmp_path / "o.jsonl", ["'sentence2' is empty", ""])


@pytest.mark.slow
def test_a_quotation_mark_that_never_ends_costs_one_row(tmp_path: Path, student: Path) -> None:
    lines = ["id,text", "1,犬", '2,"猫', *(f"{number},鳥" for number in range(3, 60_000))]
    (tmp_path / "in.csv").write_text("\n".join(lines), encoding="utf-8")
    from japagen.prediction.table import Table

    (chunk,) = Table(tmp_path / "in.csv", ["text"], ",").chunks(10**6, 0)
    assert len(chunk.errors) == 59_999
    assert [number for number, error in enumerate(chunk.errors, 1) if error] == [2]


def test_the_end_says_which_rows(
    tmp_path: Path, student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ['{"text": "犬"}', *['{"text": ""}'] * 11, '{"text": null, "id": 1}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    files = (student, tmp_path / "in.jsonl", tmp_path / "o.csv")
    assert predict(*files, "--chunk", "5") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"13 rows: {tmp_path / 'o.csv'}"
    assert said[1] == "12 bad rows without a prediction (column 'error'):"
    assert said[2:12] == [f"  row {number}: 'text' is empty" for number in range(2, 12)]
    assert said[12:] == ["  and 2 more"]
    assert predict(*files, "--overwrite", "--strict") == 3
    (tmp_path / "in.jsonl").write_text(lines[0], encoding="utf-8")
    assert predict(*files, "--overwrite", "--strict") == 0
