"""Loading gold data: the real files if they are there, places, faults, downloads, shots."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Literal, get_args

import pytest

from japagen.config.error import UserError
from japagen.config.task import Gold
from japagen.gold import fetch, load
from japagen.gold.example import Example, Split, nearest
from tests.weather import DATA, RAIN, SUN, lines, real, rejected, shipped, user_gold, weather, write


@pytest.fixture(autouse=True)
def _own_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.INFO)
    fetch.fetch.cache_clear()
    yield
    fetch.fetch.cache_clear()


# Real files


@pytest.mark.slow
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
        ("hotel_reviews", "train", 2959, None),
        ("hotel_reviews", "dev", 851, None),
        ("hotel_reviews", "test", 414, "pn17q00003"),
    ],
)
def test_real_rows(name: str, split: Split, rows: int, first: str | None) -> None:
    task = shipped(name)
    examples = load.load(task, split, DATA)
    assert len(examples) == rows == len({example.id for example in examples})
    assert first in (None, examples[0].id)
    assert all(len(example.texts) == len(task.inputs) for example in examples)
    if task.kind == "regression":
        assert all(0 <= float(example.label) <= 5 for example in examples)
    else:
        assert {example.label for example in examples} == set(task.labels)


@real
def test_jnli_says_that_it_reads_the_subset(caplog: pytest.LogCaptureFixture) -> None:
    path = fetch.locate(shipped("jnli"), "train", DATA)
    examples = load.load(shipped("jnli"), "train", DATA)
    if path.name == "train-v1.3.json":
        pytest.skip("the whole train file is there")
    assert len(examples) == 823
    assert (
        "train-subset.json (jnli-v1.3/train-v1.3.json, the first choice, is absent)" in caplog.text
    )


@pytest.mark.slow
@real
def test_levels_of_jsts() -> None:
    task = shipped("jsts")
    shots = load.draw_shots(load.load(task, "train", DATA), task, 5, 0)
    assert {level: len(rows) for level, rows in shots.items()} == dict.fromkeys("012345", 5)
    assert all(
        abs(float(row.label) - float(level)) <= 0.5 for level, rows in shots.items() for row in rows
    )


# Rows


def test_regression_keeps_the_number(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"label": 2.4}, RAIN | {"label": "0"}))
    task = weather(user_gold(), kind="regression", labels=["0", "5"])
    assert [example.label for example in load.load(task, "train", str(tmp_path))] == ["2.4", "0"]


def test_ids_that_repeat_give_way_to_row_numbers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"id": 7}, RAIN | {"id": 7}))
    assert [example.id for example in load.load(weather(user_gold()), "train", str(tmp_path))] == [
        "train-1",
        "train-2",
    ]
    assert "ids are not unique" in caplog.text


def test_one_file_for_both_splits_is_cut(tmp_path: Path) -> None:
    write(tmp_path / "all.jsonl", lines(*(SUN | {"id": str(number)} for number in range(50))))
    task = weather(user_gold(train=["all.jsonl"], test=["all.jsonl"]))
    train, test = (
        {example.id for example in load.load(task, split, str(tmp_path))}
        for split in ("train", "test")
    )
    assert (len(train), len(test), len(train & test)) == (40, 5, 0)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (
            lines(SUN, RAIN | {"label": "hale"}),
            ["row 2: the label is not known", "'hale'; allowed: hare, ame; did you mean 'hare'?"],
        ),
        (lines(SUN | {"sentence": " \n"}), ["row 1: input 'sentence' is empty"]),
        (lines(SUN | {"sentence": None}), ["row 1: input 'sentence' is empty"]),
        (lines(SUN | {"sentence": ["今日", "は"]}), ["row 1: input 'sentence' is empty"]),
        ("", ["no row of it can be used as train data of task weather"]),
    ],
)
def test_bad_rows(content: str, parts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", content)
    message = rejected(weather(user_gold()), tmp_path)
    assert all(part in message for part in [str(path), *parts]), message


@pytest.mark.parametrize("label", ["高い", "nan", "5.1", "", None])
def test_bad_scores(label: str | None, tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"label": 0}, RAIN | {"label": label}))
    message = rejected(weather(user_gold(), kind="regression", labels=["0", "5"]), tmp_path)
    assert (
        f"row 2: the label is not a score: got '{label or ''}'; allowed: a number from 0 to 5"
        in message
    )


def test_a_wrong_gold_section_is_told_at_once(tmp_path: Path) -> None:
    wrong = Gold(format="jsonI", columns={"sentense": "a"}, labels={"1": "yuki"})
    message = rejected(weather(wrong), tmp_path)
    for part in (
        "did you mean 'jsonl'?",
        "did you mean 'sentence'?",
        "maps '1' to 'yuki'",
        "allowed: hare, ame",
    ):
        assert part in message
    pair = weather(Gold(format="livedoor", train=["x"]), inputs=["sentence1", "sentence2"])
    assert "one text per row" in rejected(pair, tmp_path)


# Rows that are selected


def table(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


SPLIT = {
    "format": "tsv",
    "columns": {"sentence": "2", "label": "1", "split": "3"},
    "train": ["all.tsv"],
    "dev": ["all.tsv"],
    "test": ["all.tsv"],
}


def test_rows_of_a_split_are_selected_by_a_column(tmp_path: Path) -> None:
    rows = ["hare\t晴れた。\ttrain", "ame\t降った。\tdev", "hare\t青い。\ttrain", "ame\t雨。\ttest"]
    write(tmp_path / "all.tsv", table(*rows))
    task = weather(Gold(**SPLIT))
    assert {
        split: [example.texts[0] for example in load.load(task, split, str(tmp_path))]
        for split in get_args(Split)
    } == {"train": ["晴れた。", "青い。"], "dev": ["降った。"], "test": ["雨。"]}


def test_values_of_the_split_column_are_mapped_or_dropped(tmp_path: Path) -> None:
    write(tmp_path / "all.tsv", table("hare\t晴れた。\tA", "ame\t降った。\tB", "x\t?\tC"))
    gold = Gold(**SPLIT, splits={"A": "train", "B": "test", "C": None})
    assert len(load.load(weather(gold), "train", str(tmp_path))) == 1
    unknown = weather(Gold(**SPLIT, splits={"A": "train", "B": "test"}))
    assert "row 3: the split is not known: got 'C'; allowed: A, B" in rejected(unknown, tmp_path)
    wrong = weather(Gold(**SPLIT, splits={"A": "valid"}))
    assert "splits maps 'A' to 'valid'; allowed: train, dev, test" in rejected(wrong, tmp_path)


def test_rows_with_a_label_mapped_to_null_are_dropped(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines(SUN, RAIN, SUN | {"label": "kumori"}))
    labels = {"hare": "hare", "ame": "ame", "kumori": None}
    examples = load.load(weather(user_gold(labels=labels)), "train", str(tmp_path))
    assert [example.label for example in examples] == ["hare", "ame"]


def test_one_file_for_three_splits_is_cut_in_three(tmp_path: Path) -> None:
    write(tmp_path / "all.jsonl", lines(*(SUN | {"id": str(number)} for number in range(50))))
    task = weather(user_gold(train=["all.jsonl"], dev=["all.jsonl"], test=["all.jsonl"]))
    ids = [
        {example.id for example in load.load(task, split, str(tmp_path))}
        for split in get_args(Split)
    ]
    assert [len(part) for part in ids] == [40, 5, 5]
    assert len(set.union(*ids)) == 50


@pytest.mark.parametrize("own", ["ネガティブ", "か\u3099"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_labels_are_compared_in_one_unicode_form(
    own: str, form: Literal["NFC", "NFD"], tmp_path: Path
) -> None:
    written = unicodedata.normalize(form, own)
    write(tmp_path / "train.jsonl", lines(SUN | {"label": written}))
    for gold in (user_gold(), user_gold(labels={own: own})):
        examples = load.load(weather(gold, labels=["他", own]), "train", str(tmp_path))
        assert [example.label for example in examples] == [own]


@pytest.mark.parametrize("key", ["sentence", "label", "id"])
def test_a_lone_surrogate_is_named_with_its_row(key: str, tmp_path: Path) -> None:
    row = json.dumps({"id": "1", **SUN, key: "晴れ\ud83d"})
    write(tmp_path / "train.jsonl", lines(RAIN) + row)
    message = rejected(weather(user_gold()), tmp_path)
    assert f"row 2: '{key}' has a lone surrogate: got \\ud83d" in message


@pytest.mark.parametrize("key", ["sentence", "label", "id"])
@pytest.mark.parametrize("char", ["\ufffd", "\0", "\uffff"])
def test_a_damaged_character_is_named_with_its_row(key: str, char: str, tmp_path: Path) -> None:
    rows = lines(RAIN, {"id": "1", **SUN, key: f"晴{char}れ"})
    write(tmp_path / "train.jsonl", rows)
    message = rejected(weather(user_gold()), tmp_path)
    assert f"row 2: '{key}' has a damaged character: got U+{ord(char):04X}" in message
    assert "allowed: whole characters" in message


def test_a_zero_byte_in_a_table_is_named_with_its_row(tmp_path: Path) -> None:
    write(tmp_path / "train.tsv", "sentence\tlabel\n晴れ\0です。\thare\n")
    message = rejected(weather(user_gold("tsv")), tmp_path)
    assert "row 2: 'sentence' has a damaged character: got U+0000" in message


@pytest.mark.parametrize("text", ["\u200b", "\u202e\u3164", " \ufeff\n"])
def test_a_text_that_shows_nothing_is_empty(text: str, tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", lines(RAIN, SUN | {"sentence": text}))
    assert "row 2: input 'sentence' is empty" in rejected(weather(user_gold()), tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("晴\u202eれ。", "晴れ。"),
        ("\ufeff晴\u200bれ\u3164。", "晴れ。"),
        ("葛\U000e0100城", "葛城"),
        ("赤\x1b[31mい\x07", "赤い"),
        # Nothing is changed that can be seen, and white space stays.
        ("一\t二\u2028三\u3000四\r\n五", "一\t二\u2028三\u3000四\r\n五"),
        ("一\t二\u200b\n三", "一\t二\n三"),
        ("か\u3099\ufa19\ue000", "か\u3099\ufa19\ue000"),
        ("👨\u200d👩\u200d👧です", "👨\u200d👩\u200d👧です"),
    ],
)
def test_invisible_characters_of_texts_are_removed(
    text: str, expected: str, tmp_path: Path
) -> None:
    write(tmp_path / "train.jsonl", lines(SUN | {"sentence": text}))
    (row,) = load.load(weather(user_gold()), "train", str(tmp_path))
    assert row.texts == (expected,)


def test_labels_and_splits_are_compared_as_they_look(tmp_path: Path) -> None:
    row = SUN | {"label": "\u200b 0\u00ad", "part": "train\u200b"}
    write(tmp_path / "train.jsonl", lines(row))
    gold = user_gold(labels={"0\u200b": "ame"}, columns={"split": "part"})
    assert [each.label for each in load.load(weather(gold), "train", str(tmp_path))] == ["ame"]
    write(tmp_path / "train.jsonl", lines(row | {"label": "\u200b9"}))
    message = rejected(weather(gold), tmp_path)
    assert "got '9'; allowed: 0" in message
    write(tmp_path / "train.jsonl", lines(row | {"label": "\u200b3.5"}))
    scores = weather(user_gold(), kind="regression", labels=["0", "5"])
    assert [each.label for each in load.load(scores, "train", str(tmp_path))] == ["3.5"]


# Where files are searched


def test_absolute_and_home_names_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path / "home" / "mine.jsonl", lines(SUN))
    other = write(tmp_path / "other.jsonl", lines(RAIN))
    task = weather(user_gold(train=["~/mine.jsonl"], test=[str(other)]))
    for gold_dir in (str(tmp_path / "data"), None):
        assert fetch.locate(task, "train", gold_dir) == tmp_path / "home" / "mine.jsonl"
        assert fetch.locate(task, "test", gold_dir) == other


def test_missing_says_what_and_how(tmp_path: Path) -> None:
    task = weather(user_gold(train=["a.jsonl", "b.jsonl"], how="ask the weather office."))
    with pytest.raises(fetch.GoldMissing) as caught:
        load.load(task, "train", str(tmp_path))
    for part in (
        "train data for task weather",
        f"a.jsonl or b.jsonl in {tmp_path}",
        "ask the weather office",
        "export JAPAGEN_DATA=FOLDER",
    ):
        assert part in str(caught.value)


def test_a_task_without_gold_says_so() -> None:
    with pytest.raises(fetch.GoldMissing, match="task weather has no gold data: add `gold:`"):
        load.load(weather(None), "test", None)
    with pytest.raises(fetch.GoldMissing, match=r"gold\.test names no file"):
        load.load(weather(Gold(train=["a.jsonl"])), "test", None)


def test_nothing_is_downloaded_into_a_given_folder(
    tmp_path: Path, site: tuple[type[Site], str]
) -> None:
    handler, url = site
    with pytest.raises(fetch.GoldMissing):
        load.load(weather(user_gold(urls={"train.jsonl": url})), "train", str(tmp_path))
    assert not handler.asked


# Downloading


class Site(BaseHTTPRequestHandler):
    """Answers each request with `content`, of `length` bytes as it says."""

    content, length, status = b"", 0, 200
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", str(self.length))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def site() -> Iterator[tuple[type[Site], str]]:
    """A site of one file, and its address."""
    handler = type("OneSite", (Site,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/x"
    server.shutdown()
    thread.join()
    server.server_close()


CONTENT = lines(SUN).encode()


@pytest.mark.parametrize("sha256", [hashlib.sha256(CONTENT).hexdigest(), None])
def test_downloaded_once_and_kept(
    sha256: str | None, tmp_path: Path, site: tuple[type[Site], str]
) -> None:
    handler, url = site
    handler.content, handler.length = CONTENT, len(CONTENT)
    known = {"train.jsonl": sha256} if sha256 else {}
    task = weather(user_gold(urls={"train.jsonl": url}, sha256=known))
    first, *others = (load.load(task, "train", folder) for folder in (None, None, ""))
    assert len(first) == 1
    assert others == [first, first]
    assert handler.asked == ["/x"]
    assert [path.name for path in (tmp_path / "cache" / "gold").iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize(
    ("length", "status", "sha256", "reason"),
    [
        (len(CONTENT) + 9, 200, None, "IncompleteRead|broken"),
        (len(CONTENT), 404, None, "404"),
        (len(CONTENT), 200, "0" * 64, "does not match the known hash"),
    ],
)
def test_a_failed_download_leaves_nothing_and_is_not_repeated(
    length: int,
    status: int,
    sha256: str | None,
    reason: str,
    tmp_path: Path,
    site: tuple[type[Site], str],
) -> None:
    handler, url = site
    handler.content, handler.length, handler.status = CONTENT, length, status
    known = {"train.jsonl": sha256} if sha256 else {}
    task = weather(user_gold(urls={"train.jsonl": url}, sha256=known, how="copy it by hand"))
    for _ in range(3):
        with pytest.raises(fetch.GoldMissing, match=rf"{url} could not be fetched") as caught:
            load.load(task, "train", None)
        assert re.search(reason, str(caught.value))
        assert "copy it by hand" in str(caught.value)
    assert len(handler.asked) == 1
    assert not list((tmp_path / "cache" / "gold").iterdir())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "file:///etc/hostname", "nonsense"])
def test_an_unreachable_or_unknown_address(url: str) -> None:
    task = weather(user_gold(urls={"train.jsonl": url}))
    with pytest.raises(fetch.GoldMissing, match="could not be fetched"):
        load.load(task, "train", None)


@pytest.mark.parametrize("name", ["../train.jsonl", "/tmp/train.jsonl", "~/train.jsonl"])
def test_nothing_is_downloaded_outside_the_cache(name: str, tmp_path: Path) -> None:
    task = weather(user_gold(train=[name], urls={name: "http://127.0.0.1:9/x"}))
    assert f"urls has '{name}'; allowed: a relative path" in rejected(task, tmp_path)


# Shots


def test_shots_are_equal_in_number_and_drawn_by_seed() -> None:
    task = weather(None)
    examples = [
        Example(f"{number}", (f"文{number}",), task.labels[number % 3 == 0]) for number in range(60)
    ]
    three = load.draw_shots(examples, task, 3, 0)
    assert {label: [row.label for row in rows] for label, rows in three.items()} == {
        label: [label] * 3 for label in task.labels
    }
    assert three == load.draw_shots(examples, task, 3, 0) != load.draw_shots(examples, task, 3, 1)
    assert {
        label: rows[:3] for label, rows in load.draw_shots(examples, task, 5, 0).items()
    } == three
    assert load.draw_shots(examples, task, 0, 0) == {"hare": [], "ame": []}


def test_shots_of_regression_belong_to_the_nearest_level() -> None:
    task = weather(None, kind="regression", labels=["0", "1", "2"])
    examples = [Example(f"{number}", ("文",), f"{number / 10}") for number in range(21)]
    shots = load.draw_shots(examples, task, 5, 3)
    assert Counter(nearest(example.label, task) for example in examples) == {
        "0": 6,
        "1": 10,
        "2": 5,
    }
    assert all(
        abs(float(row.label) - float(level)) <= 0.5 for level, rows in shots.items() for row in rows
    )


def test_too_few_rows_for_the_shots() -> None:
    examples = [Example(f"{number}", ("文",), "hare") for number in range(4)]
    with pytest.raises(
        UserError,
        match=r"shots=2 needs 2 .* too few of 'ame' \(rows of each label: hare 4, ame 0\); "
        "allowed: shots=0",
    ):
        load.draw_shots(examples, weather(None), 2, 0)


def test_a_file_is_read_again_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, path = weather(user_gold()), tmp_path / "test.jsonl"
    reads: list[Path] = []
    collect = load.without_faults
    monkeypatch.setattr(
        load, "without_faults", lambda path, rows: reads.append(path) or collect(path, rows)
    )
    write(path, lines(SUN, RAIN))
    first = load.load(task, "test", str(tmp_path))
    first.clear()  # what one job does with its rows is not seen by the next
    assert len(load.load(task, "test", str(tmp_path))) == 2
    assert reads == [path]
    write(path, lines(SUN, RAIN, {**SUN, "sentence": "明日も晴れるでしょう。"}))
    assert len(load.load(task, "test", str(tmp_path))) == 3
    other = weather(user_gold(), labels=["ame", "hare", "yuki"])
    assert len(load.load(other, "test", str(tmp_path))) == 3
    assert reads == [path] * 3
