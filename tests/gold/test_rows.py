"""Rows of JSONL, CSV and TSV files: every form they may have and every fault."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

from japagen.gold import load
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
            ["row 2: not JSON, or cut off", "allowed: one whole JSON object a line"],
        ),
        (lines(SUN, ["晴れ"]), ["row 2: not a JSON object"]),
        (
            lines({"sentense": "空", "label": "ame"}),
            ["row 1: no column 'sentence'", "did you mean 'sentense'?"],
        ),
        (
            lines(SUN, *[RAIN | {"label": "yuki"}] * 3, [1]),
            ["row 2", "(rows beside it: 2 more with the same fault, 1 with another)"],
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
    assert "Permission denied; let yourself read it: chmod -R u+rX" in rejected(
        weather(user_gold()), tmp_path
    )
    monkeypatch.setattr(Path, "stat", locked)
    message = rejected(weather(user_gold()), Path("/data"))
    monkeypatch.undo()
    assert "Permission denied" in message
