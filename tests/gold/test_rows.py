"""Rows of JSONL, CSV and TSV files: every form they may have and every fault."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from pathlib import Path

import pytest

from japagen.gold import load, source
from japagen.gold.example import Example
from tests.weather import RAIN, SUN, lines, rejected, user_gold, weather, write


def test_jsonl_with_other_columns_and_labels(tmp_path: Path) -> None:
    source = user_gold(columns={"sentence": "text", "label": "y"}, labels={"1": "hare", "0": "ame"})
    # A byte order mark, a blank line and U+2028 inside a text are all found in the wild.
    write(
        tmp_path / "train.jsonl",
        "\ufeff"
        + lines({"text": "空が\u2028青い。", "y": 1})
        + "\n"
        + lines({"text": "傘がいる。", "y": "0"}),
    )
    examples = load.load(weather(source), "train", str(tmp_path))
    assert [(example.id, example.texts, example.label) for example in examples] == [
        ("train-1", ("空が\u2028青い。",), "hare"),
        ("train-2", ("傘がいる。",), "ame"),
    ]


@pytest.mark.parametrize(("format", "mark"), [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv(format: str, mark: str, tmp_path: Path) -> None:
    rows = [
        ["id", "sentence1", "sentence2", "label"],
        ["a7", '"晴れ、\nのち雨"', '""空""です', "hare"],
        [],
        ["a8", "風が強い。", "静かだ。", "ame"],
    ]
    rows[1][2] = '"""空""です"'
    write(tmp_path / f"test.{format}", "\r\n".join(mark.join(row) for row in rows))
    task = weather(user_gold(format), inputs=["sentence1", "sentence2"])
    assert load.load(task, "test", str(tmp_path)) == [
        Example("a7", ("晴れ、\nのち雨", '"空"です'), "hare"),
        Example("a8", ("風が強い。", "静かだ。"), "ame"),
    ]


def test_packed_files(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl.gz", gzip.compress(lines(SUN).encode()))
    write(tmp_path / "test.jsonl.bz2", bz2.compress(lines(RAIN).encode()))
    task = weather(user_gold(train=["train.jsonl.gz"], test=["test.jsonl.bz2"]))
    assert [load.load(task, split, str(tmp_path))[0].label for split in ("train", "test")] == [
        "hare",
        "ame",
    ]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            lines(SUN) + '{"sentence": "雨',
            ["row 2: not JSON, or cut off", "allowed: one whole JSON object per line"],
        ),
        (lines(SUN, ["晴れ"]), ["row 2: not a JSON object"]),
        (
            lines({"sentense": "空", "label": "ame"}),
            ["row 1: no column 'sentence'", "did you mean 'sentense'?"],
        ),
        (
            lines(SUN, *[RAIN | {"label": "yuki"}] * 3, [1]),
            ["row 2", "(other rows: 2 with the same fault, 1 with another fault)"],
        ),
        (lines(SUN).encode() + "雨だ".encode("cp932"), ["row 2: byte 0x89 is not UTF-8", "iconv"]),
    ],
)
def test_bad_jsonl(content: str | bytes, parts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", content)
    message = rejected(weather(user_gold()), tmp_path)
    assert all(part in message for part in [str(path), *parts]), message


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            "sentence,label\n空,hare\n雨、傘\n",
            ["row 3: another number of columns: it has 1; allowed: 2"],
        ),
        ('sentence,label\n"空\n空",hare\n"雨,ame\n風,hare\n', ["row 4: broken quotes"]),
        ('sentence,label\n"空"が,hare\n', ["row 2: broken quotes"]),
        (
            "text,label\n空,hare\n",
            ["row 2: no column 'sentence': it has text, label", "gold.columns"],
        ),
        ("sentence,label\n空,\n", ["row 2: the label is not known: got ''; allowed: hare, ame"]),
        ("sentence,label\n", ["no row of it can be used"]),
    ],
)
def test_bad_csv(content: str, parts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", content)
    message = rejected(weather(user_gold("csv")), tmp_path)
    assert all(part in message for part in [str(path), *parts]), message


@pytest.mark.parametrize("name", ["train.jsonl.gz", "train.jsonl.bz2"])
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_packing(name: str, damage: str, tmp_path: Path) -> None:
    packed = (gzip if name.endswith("gz") else bz2).compress(lines(*[SUN, RAIN] * 100).encode())
    write(tmp_path / name, packed[:-9] if damage == "cut" else b"not packed at all")
    message = rejected(weather(user_gold(train=[name])), tmp_path)
    assert f"cannot read {tmp_path / name}" in message
    assert "get it again" in message


def test_a_folder_and_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.jsonl").mkdir()
    assert "a file is allowed here" in rejected(weather(user_gold()), tmp_path)

    def locked(*_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", locked)
    assert "Permission denied; give yourself the permission: chmod -R u+rX" in rejected(
        weather(user_gold()), tmp_path
    )
    monkeypatch.setattr(Path, "stat", locked)
    message = rejected(weather(user_gold()), Path("/data"))
    monkeypatch.undo()
    assert "Permission denied" in message


# Quotation marks


def read(content: str, folder: Path, **gold: object) -> list[tuple[str, str]]:
    """(text, label) of a TSV file."""
    write(folder / "train.tsv", content)
    task = weather(user_gold("tsv", **gold))
    return [(row.texts[0], row.label) for row in load.load(task, "train", str(folder))]


def test_lone_quotation_marks_in_tsv_are_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    rows = [('"晴れた', "hare"), ("雨だ", "ame"), ('"と言う"人', "ame"), ('寒い"', "ame")]
    content = "sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)
    assert read(content, tmp_path) == rows
    assert "gold.quoting=true reads it as a quotation mark" in caplog.text


@pytest.mark.parametrize(
    "rows",
    [
        ['"晴れ\t雨"\thare', "風\tame"],  # a tab inside quotes
        ['"""晴れ""\t雨"\thare'],
        ['"晴れ\n雨"\thare'],  # a line end inside quotes
        ['"晴れ雨"\t"hare"', '"風"\t"ame"'],  # every cell in quotes
    ],
)
def test_tsv_quoted_throughout_is_read_as_quoted(rows: list[str], tmp_path: Path) -> None:
    content = "sentence\tlabel\n" + "\n".join(rows)
    expected = list(csv.reader(io.StringIO(content, newline=""), delimiter="\t"))[1:]
    assert read(content, tmp_path) == [(text, label) for text, label in expected]


def test_quoting_can_be_chosen(tmp_path: Path) -> None:
    content = 'sentence\tlabel\n"晴れ"\thare\n'
    assert read(content, tmp_path, quoting=False) == [('"晴れ"', "hare")]
    assert read(content, tmp_path, quoting=True) == [("晴れ", "hare")]
    write(tmp_path / "train.csv", 'sentence,label\n"晴れ,hare\n')
    assert "broken quotes" in rejected(weather(user_gold("csv")), tmp_path)
    task = weather(user_gold("csv", quoting=False))
    assert load.load(task, "train", str(tmp_path))[0].texts == ('"晴れ',)


def test_rows_merged_by_two_lone_quotation_marks_are_never_one_text(tmp_path: Path) -> None:
    content = 'sentence\tlabel\n"晴れた\thare\n壊れた行\n寒い"\tame\n'
    write(tmp_path / "train.tsv", content)
    message = rejected(weather(user_gold("tsv")), tmp_path)
    assert "row 3: another number of columns: it has 1; allowed: 2" in message


MERGED = [
    ("sentence,label\n", '"晴れだ。,1\n雨,0\n曇り,1\n雪",0\n', 2),
    ("sentence,label\n", '風,1\n"晴れだ。,1\r\n欠けた行\r\n雪",0\n', 3),
    ("label,sentence\n", '1,"晴れだ。\n0,雨\n1,雪"\n', 2),
    ("id,sentence,label\n", 'a,"晴れだ。,1\nb,雪",0\n', 2),
]


@pytest.mark.parametrize(("header", "rows", "row"), MERGED)
def test_rows_of_a_csv_file_merged_by_lone_quotation_marks_are_named(
    header: str, rows: str, row: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "train.csv", header + rows)
    message = rejected(weather(user_gold("csv", labels=LABELS)), tmp_path)
    assert f"{path}, row {row}: a quoted cell has rows inside it" in message
    assert "gold.quoting=false" in message
    task = weather(user_gold("csv", labels=LABELS, quoting=True))
    assert load.load(task, "train", str(tmp_path))


def test_scores_of_merged_rows_are_found(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", 'sentence,label\n"晴れだ。,4.5\n雪",0\n')
    task = weather(user_gold("csv"), kind="regression", labels=["0", "5"])
    assert "row 2: a quoted cell has rows inside it" in rejected(task, tmp_path)


@pytest.mark.parametrize(
    "text", ["1,000円でした。\nよかった。", "晴れ,\n雨", "a,b\n\nc,d\n", "1\n0"]
)
def test_texts_with_line_ends_and_commas_are_no_merged_rows(text: str, tmp_path: Path) -> None:
    write(tmp_path / "train.csv", f'sentence,label\n"{text}",1\n')
    task = weather(user_gold("csv", labels=LABELS))
    assert [row.texts for row in load.load(task, "train", str(tmp_path))] == [(text,)]


# Without a header


@pytest.mark.parametrize("header", [None, False])
@pytest.mark.parametrize(("format", "mark"), [("csv", ","), ("tsv", "\t")])
def test_columns_by_position(header: bool | None, format: str, mark: str, tmp_path: Path) -> None:
    write(tmp_path / f"train.{format}", f"x1{mark}hare{mark}晴れ\nx2{mark}ame{mark}雨\n")
    columns = {"id": "1", "label": "2", "sentence": "3"}
    task = weather(user_gold(format, header=header, columns=columns))
    assert load.load(task, "train", str(tmp_path)) == [
        Example("x1", ("晴れ",), "hare"),
        Example("x2", ("雨",), "ame"),
    ]


def test_positions_in_a_file_with_a_header(tmp_path: Path) -> None:
    columns = {"label": "2", "sentence": "1"}
    content = "文\t天気\n晴れ\thare\n"
    assert read(content, tmp_path, header=True, columns=columns) == [("晴れ", "hare")]
    named = read("2\t1\nhare\t晴れ\n", tmp_path, header=True, columns=columns)
    assert named == [("晴れ", "hare")]


LABELS = {"1": "hare", "0": "ame"}


@pytest.mark.parametrize("first", ["1", "0"])
@pytest.mark.parametrize("header", [None, False])
@pytest.mark.parametrize(("format", "mark"), [("csv", ","), ("tsv", "\t")])
def test_a_label_that_is_a_position_makes_no_header(
    first: str, header: bool | None, format: str, mark: str, tmp_path: Path
) -> None:
    rows = [("晴れだ。", first), ("雨だ。", "0"), ("曇りだ。", "1")]
    write(tmp_path / f"train.{format}", "\n".join(mark.join(row) for row in rows))
    for columns in ({"sentence": "1", "label": "2"}, {"label": "2", "sentence": "1", "id": "1"}):
        task = weather(user_gold(format, header=header, columns=columns, labels=LABELS))
        found = load.load(task, "train", str(tmp_path))
        assert [(row.texts[0], row.label) for row in found] == [
            (text, LABELS[label]) for text, label in rows
        ]


def test_a_first_row_with_every_position_as_a_name_is_asked_about(tmp_path: Path) -> None:
    columns = {"sentence": "1", "label": "2"}
    content = "2\t1\nhare\t晴れ\n"
    path = write(tmp_path / "train.tsv", content)
    message = rejected(weather(user_gold("tsv", columns=columns)), tmp_path)
    assert f"{path}, row 1: it may be a header or data: it has 2, 1; allowed: " in message
    assert "gold.header=true or gold.header=false" in message
    labels = {"hare": "hare", "1": "ame"}
    write(tmp_path / "train.tsv", "2\t1\n晴れ\thare\n")
    found = read("2\t1\n晴れ\thare\n", tmp_path, header=False, columns=columns, labels=labels)
    assert found == [("2", "ame"), ("晴れ", "hare")]


# Names of columns


@pytest.mark.parametrize(
    ("format", "content", "parts"),
    [
        (
            "tsv",
            "sentence\tsentence\tlabel\n晴れ\t別\thare\n",
            ["row 1: two columns", "'sentence'"],
        ),
        ("csv", "sentence,label,\u200blabel\n晴れ,hare,ame\n", ["row 1: two columns", "'label'"]),
        ("csv", "id,sentence,label,id\n1,晴れ,hare,2\n", ["row 1: two columns", "'id'"]),
        (
            "jsonl",
            '{"sentence": "晴れ", "label": "hare", "label": "ame"}\n',
            ["row 1: 'label' is there twice", "allowed: each name once"],
        ),
        (
            "jsonl",
            lines(SUN | {"\u200blabel": "ame"}),
            ["row 1: two columns look like 'label'"],
        ),
    ],
)
def test_a_column_that_is_there_twice_is_refused(
    format: str, content: str, parts: list[str], tmp_path: Path
) -> None:
    write(tmp_path / f"train.{format}", content)
    message = rejected(weather(user_gold(format)), tmp_path)
    assert all(part in message for part in parts), message


def test_names_of_columns_are_compared_as_they_look(tmp_path: Path) -> None:
    content = "\ufeffsentence\u200b\tlabel \t\t\n晴れ\thare\t\t\n"
    assert read("\ufeff" + content, tmp_path) == [("晴れ", "hare")]


def test_bad_positions(tmp_path: Path) -> None:
    write(tmp_path / "train.tsv", "晴れ\thare\n")
    task = weather(user_gold("tsv", header=False, columns={"sentence": "1", "label": "3"}))
    assert "row 1: no column '3': it has 1, 2" in rejected(task, tmp_path)
    task = weather(user_gold("tsv", header=False, columns={"sentence": "1"}))
    assert "header=false needs a position, from 1, for label" in rejected(task, tmp_path)


# Other encodings, other kinds of files, sizes


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("text\tlabel\n晴れ".encode("utf-16"), ["is UTF-16", "iconv -f UTF-16 -t UTF-8"]),
        ("text\tlabel\n晴れ".encode("utf-16-le"), ["UTF-16LE"]),
        ("text\tlabel\n晴れ".encode("utf-16-be"), ["UTF-16BE"]),
        ("text\tlabel\n晴れ".encode("utf-32"), ["UTF-32"]),
        ("文\tlabel\n晴れ".encode("iso2022_jp"), ["ISO-2022-JP"]),
        ("文\tラベル\n晴れた".encode("euc_jp"), ["looks like EUC-JP", "iconv -f EUC-JP"]),
        ("文\tラベル\n晴れた".encode("cp932"), ["looks like Shift_JIS", "iconv -f CP932"]),
        ("caf\u00e9".encode("latin-1"), ["byte 0xe9 is not UTF-8", "Save the file as UTF-8"]),
        (b"PK\x03\x04rest", ["a ZIP archive or an Excel workbook", "CSV UTF-8"]),
        (b"\xd0\xcf\x11\xe0\xa1rest", ["an old Excel workbook"]),
        (gzip.compress(b"x", mtime=0), ["packed with gzip", "add .gz"]),
        (b"PAR1rest", ["a Parquet table"]),
    ],
)
def test_the_format_of_a_file_is_named(data: bytes, parts: list[str], tmp_path: Path) -> None:
    write(tmp_path / "train.tsv", data)
    message = rejected(weather(user_gold("tsv")), tmp_path)
    assert all(part in message for part in [str(tmp_path / "train.tsv"), *parts]), message


@pytest.mark.parametrize("name", ["train.jsonl.gz", "train.jsonl.bz2"])
def test_a_file_that_unpacks_to_much_more_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MIN_UNPACKED", 1000)
    pack = gzip.compress if name.endswith("gz") else bz2.compress
    write(tmp_path / name, pack(b" " * 10_000_000))
    task = weather(user_gold(train=[name]))
    assert "unpacks to more than 100 times its size" in rejected(task, tmp_path)
