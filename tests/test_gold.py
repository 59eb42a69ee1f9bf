"""Gold data: the real files where they are, and rows of our own for every format and every error."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import logging
import os
import random
import tarfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from japagen import config, gold
from japagen.config import Gold, Task, UserError

DATA = os.environ.get("JAPAGEN_DATA") or ""
real = pytest.mark.skipif(not DATA, reason="JAPAGEN_DATA names no folder with the real gold data")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.INFO)
    gold.fetch.cache_clear()
    yield
    gold.fetch.cache_clear()


def shipped(name: str) -> Task:
    task = OmegaConf.to_object(
        OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(config.CONF / f"task/{name}.yaml"))
    )
    assert isinstance(task, Task)
    return task


def weather(source: Gold | None, **changes: object) -> Task:
    """A user's own task with one input and two labels."""
    fields = {"name": "weather", "inputs": ["sentence"], "labels": ["hare", "ame"], "gold": source} | changes
    return Task(**fields)  # type: ignore[arg-type]


def user_gold(format: str = "jsonl", **changes: object) -> Gold:
    return Gold(**({"format": format, "train": [f"train.{format}"], "test": [f"test.{format}"]} | changes))  # type: ignore[arg-type]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rejected(task: Task, folder: Path, split: gold.Split = "train") -> str:
    """The message with which a file is refused, which is never that there is none."""
    with pytest.raises(UserError) as caught:
        gold.load(task, split, str(folder))
    assert not isinstance(caught.value, gold.GoldMissing)
    return str(caught.value)


SUN, RAIN = (
    {"sentence": "今日は一日中よく晴れています。", "label": "hare"},
    {"sentence": "朝から雨が降っています。", "label": "ame"},
)


# Real files


@real
@pytest.mark.parametrize(
    ("name", "split", "rows", "first"),
    [
        ("jsts", "train", 12451, "0"),
        ("jsts", "test", 1457, "0"),
        ("jnli", "test", 2434, "0"),
        ("jcola", "train", 6919, None),
        ("jcola", "test", 865, "2733"),
        ("news", "train", 5893, None),
        ("news", "test", 737, None),
    ],
)
def test_real_rows(name: str, split: gold.Split, rows: int, first: str | None) -> None:
    task = shipped(name)
    examples = gold.load(task, split, DATA)
    assert len(examples) == rows == len({example.id for example in examples})
    assert first in (None, examples[0].id)
    assert all(len(example.texts) == len(task.inputs) for example in examples)
    if task.kind == "regression":
        assert all(0 <= float(example.label) <= 5 for example in examples)
    else:
        assert {example.label for example in examples} == set(task.labels)


@real
def test_jnli_says_that_it_reads_the_subset(caplog: pytest.LogCaptureFixture) -> None:
    path = gold.locate(shipped("jnli"), "train", DATA)
    examples = gold.load(shipped("jnli"), "train", DATA)
    if path.name == "train-v1.3.json":
        pytest.skip("the whole train file is there")
    assert len(examples) == 823
    assert "train-subset.json (jnli-v1.3/train-v1.3.json, the first choice, is absent)" in caplog.text


@real
def test_livedoor_is_cut_without_overlap() -> None:
    path = gold.locate(shipped("news"), "train", DATA)
    rows = list(gold.livedoor(path))
    train, test = (gold.load(shipped("news"), split, DATA) for split in ("train", "test"))
    assert (len(rows), len({row.label for row in rows})) == (7367, 9)
    assert not {example.id for example in train} & {example.id for example in test}
    assert rows[0].texts[0].splitlines()[0] == "友人代表のスピーチ、独女はどうこなしている？"
    assert not any("http://news.livedoor.com/article/detail" in row.texts[0].splitlines()[0] for row in rows)


@real
def test_levels_of_jsts() -> None:
    task = shipped("jsts")
    shots = gold.draw_shots(gold.load(task, "train", DATA), task, 5, 0)
    assert {level: len(rows) for level, rows in shots.items()} == dict.fromkeys("012345", 5)
    assert all(abs(float(row.label) - float(level)) <= 0.5 for level, rows in shots.items() for row in rows)


# JSONL, CSV, TSV


def test_jsonl_with_other_columns_and_labels(tmp_path: Path) -> None:
    source = user_gold(columns={"sentence": "text", "label": "y"}, labels={"1": "hare", "0": "ame"})
    # A byte order mark, a blank line and U+2028 inside a text are all found in the wild.
    write(
        tmp_path / "train.jsonl",
        "\ufeff" + lines({"text": "空が\u2028青い。", "y": 1}) + "\n" + lines({"text": "傘がいる。", "y": "0"}),
    )
    examples = gold.load(weather(source), "train", str(tmp_path))
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
    assert gold.load(task, "test", str(tmp_path)) == [
        gold.Example("a7", ("晴れ、\nのち雨", '"空"です'), "hare"),
        gold.Example("a8", ("風が強い。", "静かだ。"), "ame"),
    ]


def test_regression_keeps_the_number(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"label": 2.4}, RAIN | {"label": "0"}))
    task = weather(user_gold(), kind="regression", labels=["0", "5"])
    assert [example.label for example in gold.load(task, "train", str(tmp_path))] == ["2.4", "0"]


def test_ids_that_repeat_give_way_to_row_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"id": 7}, RAIN | {"id": 7}))
    assert [example.id for example in gold.load(weather(user_gold()), "train", str(tmp_path))] == ["train-1", "train-2"]
    assert "ids are not unique" in caplog.text


def test_packed_files(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl.gz", gzip.compress(lines(SUN).encode()))
    write(tmp_path / "test.jsonl.bz2", bz2.compress(lines(RAIN).encode()))
    task = weather(user_gold(train=["train.jsonl.gz"], test=["test.jsonl.bz2"]))
    assert [gold.load(task, split, str(tmp_path))[0].label for split in ("train", "test")] == ["hare", "ame"]


def test_one_file_for_both_splits_is_cut(tmp_path: Path) -> None:
    write(tmp_path / "all.jsonl", lines(*(SUN | {"id": str(number)} for number in range(50))))
    task = weather(user_gold(train=["all.jsonl"], test=["all.jsonl"]))
    train, test = ({example.id for example in gold.load(task, split, str(tmp_path))} for split in ("train", "test"))
    assert (len(train), len(test), len(train & test)) == (40, 5, 0)


# Where files are looked for


def test_absolute_and_home_names_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path / "home" / "mine.jsonl", lines(SUN))
    other = write(tmp_path / "other.jsonl", lines(RAIN))
    task = weather(user_gold(train=["~/mine.jsonl"], test=[str(other)]))
    for gold_dir in (str(tmp_path / "data"), None):
        assert gold.locate(task, "train", gold_dir) == tmp_path / "home" / "mine.jsonl"
        assert gold.locate(task, "test", gold_dir) == other


def test_missing_says_what_and_how(tmp_path: Path) -> None:
    task = weather(user_gold(train=["a.jsonl", "b.jsonl"], how="ask the weather office."))
    with pytest.raises(gold.GoldMissing) as caught:
        gold.load(task, "train", str(tmp_path))
    for part in (
        "train data for task weather",
        f"a.jsonl or b.jsonl in {tmp_path}",
        "ask the weather office",
        "export JAPAGEN_DATA=FOLDER",
    ):
        assert part in str(caught.value)


def test_a_task_without_gold_says_so() -> None:
    with pytest.raises(gold.GoldMissing, match="task weather has no gold data: add `gold:`"):
        gold.load(weather(None), "test", None)
    with pytest.raises(gold.GoldMissing, match=r"gold\.test names no file"):
        gold.load(weather(Gold(train=["a.jsonl"])), "test", None)


def test_a_given_folder_is_never_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("asked the network"))
    with pytest.raises(gold.GoldMissing):
        gold.load(weather(user_gold(urls={"train.jsonl": "https://example.org/x"})), "train", str(tmp_path))


# Fetching


class Reply(io.BytesIO):
    """What urlopen returns, as far as it is used."""

    def __init__(self, content: bytes, length: int) -> None:
        super().__init__(content)
        self.headers = Message()
        self.headers["Content-Length"] = str(length)


def test_fetched_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, asked = lines(SUN).encode(), list[tuple[str, float]]()

    def urlopen(url: str, timeout: float) -> Reply:
        asked.append((url, timeout))
        return Reply(content, len(content))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    task = weather(user_gold(urls={"train.jsonl": "https://example.org/x"}))
    assert gold.load(task, "train", None) == gold.load(task, "train", None) == gold.load(task, "train", "")
    assert asked == [("https://example.org/x", 10)]
    assert [path.name for path in (tmp_path / "cache" / "gold").iterdir()] == ["train.jsonl"]


class Broken(Reply):
    """A connection that is reset after the first piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise ConnectionResetError("reset by peer")
        return super().read(min(size or 5, 5))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"half", 100), "the connection broke after 4 of 100 bytes"),
        (Broken(b"half of it", 10), "reset by peer"),
        (urllib.error.URLError("no route to host"), "no route to host"),
        (TimeoutError("timed out"), "timed out"),
    ],
)
def test_a_failed_fetch_leaves_nothing_and_is_remembered(
    reply: Reply | OSError, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def urlopen(url: str, timeout: float) -> Reply:
        asked.append(f"{url} {timeout}")
        if isinstance(reply, Reply):
            return reply
        raise reply

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    task = weather(user_gold(urls={"train.jsonl": "https://example.org/x"}, how="copy it by hand"))
    for _ in range(3):
        with pytest.raises(
            gold.GoldMissing, match=rf"https://example.org/x could not be fetched: .*{reason}.*copy it by hand"
        ):
            gold.load(task, "train", None)
    assert len(asked) == 1
    assert not list((tmp_path / "cache" / "gold").iterdir())


# Errors


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (lines(SUN) + '{"sentence": "雨', ["row 2: not JSON, or cut off", "allowed: one whole JSON object a line"]),
        (lines(SUN, ["晴れ"]), ["row 2: not a JSON object"]),
        (lines({"sentense": "空", "label": "ame"}), ["row 1: no column 'sentence'", "did you mean 'sentense'?"]),
        (
            lines(SUN, RAIN | {"label": "hale"}),
            ["row 2: the label is not known", "'hale'; allowed: hare, ame; did you mean 'hare'?"],
        ),
        (
            lines(SUN, *[RAIN | {"label": "yuki"}] * 3, [1]),
            ["row 2", "(rows beside it: 2 more with the same fault, 1 with another)"],
        ),
        (lines(SUN | {"sentence": " \n"}), ["row 1: input 'sentence' is empty"]),
        (lines(SUN | {"sentence": None}), ["row 1: input 'sentence' is empty"]),
        (lines(SUN | {"sentence": ["今日", "は"]}), ["row 1: input 'sentence' is empty"]),
        (lines(SUN).encode() + "雨だ".encode("cp932"), ["row 2: byte 0x89 is not UTF-8", "iconv"]),
        ("", ["no row of it can be used as train data of task weather"]),
    ],
)
def test_bad_jsonl(content: str | bytes, parts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", content)
    message = rejected(weather(user_gold()), tmp_path)
    assert all(part in message for part in [str(path), *parts]), message


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("sentence,label\n空,hare\n雨、傘\n", ["row 3: another number of columns: it has 1; allowed: 2"]),
        ('sentence,label\n"空\n空",hare\n"雨,ame\n風,hare\n', ["row 4: broken quotes"]),
        ('sentence,label\n"空"が,hare\n', ["row 2: broken quotes"]),
        ("text,label\n空,hare\n", ["row 2: no column 'sentence': it has text, label", "gold.columns"]),
        ("sentence,label\n空,\n", ["row 2: the label is not known: got ''; allowed: hare, ame"]),
        ("sentence,label\n", ["no row of it can be used"]),
    ],
)
def test_bad_csv(content: str, parts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "train.csv", content)
    message = rejected(weather(user_gold("csv")), tmp_path)
    assert all(part in message for part in [str(path), *parts]), message


@pytest.mark.parametrize("label", ["高い", "nan", "5.1", "", None])
def test_bad_scores(label: str | None, tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"label": 0}, RAIN | {"label": label}))
    message = rejected(weather(user_gold(), kind="regression", labels=["0", "5"]), tmp_path)
    assert f"row 2: the label is not a score: got '{label or ''}'; allowed: a number from 0 to 5" in message


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
    assert "Permission denied; let yourself read it: chmod -R u+rX" in rejected(weather(user_gold()), tmp_path)
    monkeypatch.setattr(Path, "stat", locked)
    message = rejected(weather(user_gold()), Path("/data"))
    monkeypatch.undo()
    assert "Permission denied" in message


def test_a_wrong_gold_section_is_told_at_once(tmp_path: Path) -> None:
    wrong = Gold(format="jsonI", columns={"sentense": "a"}, labels={"1": "yuki"})
    message = rejected(weather(wrong), tmp_path)
    for part in ("did you mean 'jsonl'?", "did you mean 'sentence'?", "maps '1' to 'yuki'", "allowed: hare, ame"):
        assert part in message
    pair = weather(Gold(format="livedoor", train=["x"]), inputs=["sentence1", "sentence2"])
    assert "one text a row" in rejected(pair, tmp_path)


# livedoor


def news(folder: Path, name: str, archive: bool) -> Task:
    """Twenty articles in two sections, and the files of the archive that are no articles."""
    texts = {
        f"{section}/{section}-{number}.txt": f"http://x/\n2011\n{section}の見出し{number}\n\n　本文です。\n二行目。\n"
        for section in ("hare", "ame")
        for number in range(10)
    } | {"README.txt": "読む", "CHANGES.txt": "変", "hare/LICENSE.txt": "可", "hare/._hare-1.txt": "x"}
    if archive:
        with tarfile.open(folder / name, "w:gz") as tar:
            for path, text in texts.items():
                entry = tarfile.TarInfo(f"text/{path}")
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
    else:
        for path, text in texts.items():
            write(folder / name / path, text)
    return weather(Gold(format="livedoor", train=[name], test=[name]))


@pytest.mark.parametrize("archive", [True, False])
def test_livedoor(archive: bool, tmp_path: Path) -> None:
    task = news(tmp_path, "news", archive)
    train, test = (gold.load(task, split, str(tmp_path)) for split in ("train", "test"))
    names = sorted(f"{section}-{number}" for section in ("hare", "ame") for number in range(10))
    random.Random(0).shuffle(names)
    assert [example.id for example in train] == names[:16]
    assert [example.id for example in test] == names[18:]
    assert test[0].texts[0].endswith(f"の見出し{test[0].id[-1]}\n本文です。\n二行目。")
    assert all(example.id.startswith(example.label) for example in train + test)


def test_bad_livedoor(tmp_path: Path) -> None:
    task = news(tmp_path, "news.tar.gz", True)
    path = tmp_path / "news.tar.gz"
    path.write_bytes(path.read_bytes()[:-60])
    assert f"cannot read {path}" in rejected(task, tmp_path)
    task = news(tmp_path, "folder", False)
    write(tmp_path / "folder" / "yuki" / "yuki-1.txt", "http://x/\n2011\n雪の話\n")
    assert "yuki/yuki-1.txt: the label is not known: got 'yuki'; allowed: hare, ame" in rejected(task, tmp_path)
    write(tmp_path / "folder" / "yuki" / "yuki-1.txt", b"http://x/\n2011\n\xff\xfe\n")
    assert "yuki/yuki-1.txt, row 3: byte 0xff is not UTF-8" in rejected(task, tmp_path)


# MARC-ja

TEXTS = {
    5: "とても<br />良い品でした。",
    4: "満足しています。",
    3: "普通でした。",
    2: "すぐに壊れました。",
    1: "&quot;最悪&quot;でした。",
}


def review(number: int, stars: int | str, text: str) -> str:
    return "\t".join(
        [
            "JP",
            "c",
            f"R{number}",
            "p",
            "pp",
            "題",
            "Books",
            str(stars),
            "0",
            "0",
            "N",
            "Y",
            "見出し",
            text,
            "2015-01-01",
        ]
    )


def marc(folder: Path, *more: str) -> Task:
    """250 reviews, of which 200 stay."""
    rows = [review(number, stars := number % 5 + 1, TEXTS[stars]) for number in range(250)]
    write(
        folder / "marc_ja" / "reviews.tsv.gz", gzip.compress("\n".join(["\t".join(["x"] * 15), *rows, *more]).encode())
    )
    return weather(
        Gold("marc_ja", ["marc_ja/reviews.tsv.gz"], ["marc_ja/reviews.tsv.gz"]), labels=["positive", "negative"]
    )


def test_marc_ja_as_jglue_makes_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = marc(tmp_path, review(900, 5, "This is a nice thing. 良"), review(901, 1, "長" * 501))
    train, test = (gold.load(task, split, str(tmp_path)) for split in ("train", "test"))
    order = [f"R{number}" for number in range(250) if number % 5 != 2]
    random.Random(1).shuffle(order)
    assert [example.id for example in train] == order[:188]
    assert [example.id for example in test] == order[188:194]
    assert {(example.texts[0], example.label) for example in train} == {
        ("とても良い品でした。", "positive"),
        ("満足しています。", "positive"),
        ("すぐに壊れました。", "negative"),
        ('"最悪"でした。', "negative"),
    }
    assert "without JGLUE's list" in caplog.text


def test_marc_ja_with_the_published_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = marc(tmp_path)
    before = gold.load(task, "test", str(tmp_path))
    flipped = "negative" if before[1].label == "positive" else "positive"
    write(tmp_path / "marc_ja" / "filter_review_id_list" / "valid.txt", f"{before[0].id}\nRX\n")
    write(tmp_path / "marc_ja" / "label_conv_review_id_list" / "valid.txt", f"{before[1].id},{flipped}\n")
    caplog.clear()
    after = gold.load(task, "test", str(tmp_path))
    assert [example.id for example in after] == [example.id for example in before[1:]]
    assert [example.label for example in after] == [flipped, *(example.label for example in before[2:])]
    assert "1 of 2 ids are not in the valid part" in caplog.text
    assert "without JGLUE's list" not in caplog.text


@pytest.mark.parametrize("row", ["a\tb\tc", review(7, "six", "星の数がおかしい。")])
def test_bad_marc_ja(row: str, tmp_path: Path) -> None:
    assert "row 252: not a review: allowed: 15 columns" in rejected(marc(tmp_path, row), tmp_path)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("あ<br />\n<b>い</b>", "あ\nい"),
        ("<p>  </p>う<!-- え -->お", " うお"),
        ("A&amp;B &foo; &#12354; &lt;3 <3", "A&B &foo あ <3 <3"),
        ("前<script>var x = 1;</script>後", "前後"),
        ("そのまま", "そのまま"),
    ],
)
def test_html_is_stripped_as_beautifulsoup_does(source: str, text: str) -> None:
    assert gold.strip_html(source) == text


# COVID-19


def covid(folder: Path) -> Task:
    labels = "tweet_id,assessment_option_id\n" + "".join(f"{n},{n}\n" for n in range(63, 69)) + "99,63\n100,65\n"
    write(folder / "covid19" / "train.csv.bz2", bz2.compress(labels.encode()))
    write(folder / "covid19" / "test.csv", "tweet_id,assessment_option_id\n63,63\n")
    texts = "".join(f'{n},"つぶやき、{n}"\n' for n in range(63, 69))
    write(folder / "covid19" / "tweets.csv", f"tweet_id,text\n{texts}100,\n")
    return shipped("covid19")


def test_covid19(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    examples = gold.load(covid(tmp_path), "train", str(tmp_path))
    assert [(example.id, example.label) for example in examples] == [
        ("63", "public_fact"),
        ("64", "personal_fact"),
        ("65", "opinion"),
        ("67", "unrelated"),
    ]
    assert examples[0].texts == ("つぶやき、63",)
    assert "left out 2 undecided tweets (66, 68) and 2 without a text" in caplog.text
    assert len(gold.load(covid(tmp_path), "test", str(tmp_path))) == 1


def test_bad_covid19(tmp_path: Path) -> None:
    task = covid(tmp_path)
    write(tmp_path / "covid19" / "test.csv", "tweet_id,assessment_option_id\n63,70\n")
    assert "test.csv, row 2: the label is not known: got '70'; allowed: 63, 64, 65, 67" in rejected(
        task, tmp_path, "test"
    )
    tweets = write(tmp_path / "covid19" / "tweets.csv", "id,text\n63,つぶやき\n")
    assert f"{tweets}, row 2: no column 'tweet_id'" in rejected(task, tmp_path)
    tweets.unlink()
    with pytest.raises(
        gold.GoldMissing, match=r"train.csv.bz2 has labels only, and .*tweets.csv with their texts is absent"
    ):
        gold.load(task, "train", str(tmp_path))


# Shots


def test_shots_are_equal_in_number_and_drawn_by_seed() -> None:
    task = weather(None)
    examples = [gold.Example(f"{number}", (f"文{number}",), task.labels[number % 3 == 0]) for number in range(60)]
    three = gold.draw_shots(examples, task, 3, 0)
    assert {label: [row.label for row in rows] for label, rows in three.items()} == {
        label: [label] * 3 for label in task.labels
    }
    assert three == gold.draw_shots(examples, task, 3, 0) != gold.draw_shots(examples, task, 3, 1)
    assert {label: rows[:3] for label, rows in gold.draw_shots(examples, task, 5, 0).items()} == three
    assert gold.draw_shots(examples, task, 0, 0) == {"hare": [], "ame": []}


def test_shots_of_regression_belong_to_the_nearest_level() -> None:
    task = weather(None, kind="regression", labels=["0", "1", "2"])
    examples = [gold.Example(f"{number}", ("文",), f"{number / 10}") for number in range(21)]
    shots = gold.draw_shots(examples, task, 5, 3)
    assert Counter(gold.nearest(example.label, task) for example in examples) == {"0": 6, "1": 10, "2": 5}
    assert all(abs(float(row.label) - float(level)) <= 0.5 for level, rows in shots.items() for row in rows)


def test_too_few_rows_for_the_shots() -> None:
    examples = [gold.Example(f"{number}", ("文",), "hare") for number in range(4)]
    with pytest.raises(
        UserError, match=r"shots=2 needs 2 .* too few of 'ame' \(rows of each label: hare 4, ame 0\); allowed: shots=0"
    ):
        gold.draw_shots(examples, weather(None), 2, 0)
