"""Gold data: the real files where they are, and files of our own for every place, every fault and the shots."""

from __future__ import annotations

import io
import logging
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

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
        ("hotel_reviews", "train", 2959, "pn17q00016"),
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
    assert "one text a row" in rejected(pair, tmp_path)


# Where files are looked for


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


def test_a_given_folder_is_never_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda *_, **__: pytest.fail("asked the network")
    )
    with pytest.raises(fetch.GoldMissing):
        load.load(
            weather(user_gold(urls={"train.jsonl": "https://example.org/x"})),
            "train",
            str(tmp_path),
        )


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
    assert (
        load.load(task, "train", None)
        == load.load(task, "train", None)
        == load.load(task, "train", "")
    )
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
            fetch.GoldMissing,
            match=rf"https://example.org/x could not be fetched: .*{reason}.*copy it by hand",
        ):
            load.load(task, "train", None)
    assert len(asked) == 1
    assert not list((tmp_path / "cache" / "gold").iterdir())


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
        match=r"shots=2 needs 2 .* too few of 'ame' \(rows of each label: hare 4, ame 0\); allowed: shots=0",
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
