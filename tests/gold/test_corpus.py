"""livedoor, MARC-ja and COVID-19: the real files where they are, and small ones of our own."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import random
import tarfile
from pathlib import Path

import pytest

from japagen.config.task import Gold, Task
from japagen.gold import corpus, fetch, load, source
from tests.weather import DATA, real, rejected, shipped, weather, write

# livedoor


@pytest.mark.slow
@real
def test_livedoor_is_cut_without_overlap() -> None:
    path = fetch.locate(shipped("news"), "train", DATA)
    rows = list(corpus.livedoor(path))
    train, test = (load.load(shipped("news"), split, DATA) for split in ("train", "test"))
    assert (len(rows), len({row.label for row in rows})) == (7367, 9)
    assert not {example.id for example in train} & {example.id for example in test}
    assert rows[0].texts[0].splitlines()[0] == "友人代表のスピーチ、独女はどうこなしている？"
    assert not any(
        "http://news.livedoor.com/article/detail" in row.texts[0].splitlines()[0] for row in rows
    )


def news(folder: Path, name: str, archive: bool) -> Task:
    """Twenty articles in two sections, and the files of the archive that are no articles."""
    texts = {
        f"{section}/{section}-{number}.txt": (
            f"http://x/\n2011\n{section}の見出し{number}\n\n　本文です。\n二行目。\n"
        )
        for section in ("hare", "ame")
        for number in range(10)
    } | {
        "README.txt": "読む",
        "CHANGES.txt": "変",
        "hare/LICENSE.txt": "可",
        "hare/._hare-1.txt": "x",
    }
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
    train, test = (load.load(task, split, str(tmp_path)) for split in ("train", "test"))
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
    assert "yuki/yuki-1.txt: the label is not known: got 'yuki'; allowed: hare, ame" in rejected(
        task, tmp_path
    )
    write(tmp_path / "folder" / "yuki" / "yuki-1.txt", b"http://x/\n2011\n\xff\xfe\n")
    assert "yuki/yuki-1.txt, row 3: byte 0xff is not UTF-8" in rejected(task, tmp_path)


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Task:
    with tarfile.open(path, "w:gz") as tar:
        for entry, content in members:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return weather(Gold(format="livedoor", train=[path.name], test=[path.name]))


@pytest.mark.parametrize("packed", [True, False])
def test_articles_with_one_name_in_two_folders_all_stay(packed: bool, tmp_path: Path) -> None:
    texts = {
        f"{folder}/hare/{number}.txt": f"http://x/\n2011\n{folder}の{number}\n"
        for folder in "ab"
        for number in range(5)
    } | {"c/hare/0.txt": "http://x/\n2011\naの0\n"}  # a verbatim copy
    if packed:
        entries = [(tarfile.TarInfo(name), text.encode()) for name, text in texts.items()]
        archive(tmp_path / "news", *entries)
    else:
        for name, text in texts.items():
            write(tmp_path / "news" / name, text)
    found = list(corpus.livedoor(tmp_path / "news"))
    assert [row.texts[0] for row in found] == [f"{f}の{n}" for n in range(5) for f in "ab"]
    assert len({row.where for row in found}) == 10


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("text/hare/hare-1.txt", tarfile.SYMTYPE),
        ("text/hare/hare-1.txt", tarfile.LNKTYPE),
        ("text/hare/hare-1.txt", tarfile.FIFOTYPE),
        ("text/hare/../../hare-1.txt", tarfile.REGTYPE),
        ("/hare/hare-1.txt", tarfile.REGTYPE),
    ],
)
def test_links_and_outside_members_are_refused(name: str, type: bytes, tmp_path: Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = type, "/etc/hostname"
    task = archive(tmp_path / "news.tar.gz", (entry, b""))
    assert f"member '{name}' is a link, a device or outside" in rejected(task, tmp_path)


@pytest.mark.parametrize("name", ["text/hare/hare-1.txt", "text/hare/photo.jpg"])
def test_an_archive_that_unpacks_to_much_more_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MIN_UNPACKED", 1000)
    task = archive(tmp_path / "news.tar.gz", (tarfile.TarInfo(name), b" " * 5_000_000))
    assert "unpacks to more than 100 times its size" in rejected(task, tmp_path)


# MARC-ja

TEXTS = {
    5: "とても<br />良い品でした。",
    4: "満足しています。",
    3: "普通でした。",
    2: "すぐに壊れました。",
    1: "&quot;最悪&quot;でした。",
}


def review(number: int, stars: int | str, text: str) -> str:
    cells = [
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
    return "\t".join(cells)


def marc(folder: Path, *more: str) -> Task:
    """250 reviews, of which 200 stay."""
    rows = [review(number, stars := number % 5 + 1, TEXTS[stars]) for number in range(250)]
    write(
        folder / "marc_ja" / "reviews.tsv.gz",
        gzip.compress("\n".join(["\t".join(["x"] * 15), *rows, *more]).encode()),
    )
    return weather(
        Gold("marc_ja", ["marc_ja/reviews.tsv.gz"], ["marc_ja/reviews.tsv.gz"]),
        labels=["positive", "negative"],
    )


def test_marc_ja_as_jglue_makes_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = marc(tmp_path, review(900, 5, "This is a nice thing. 良"), review(901, 1, "長" * 501))
    train, test = (load.load(task, split, str(tmp_path)) for split in ("train", "test"))
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
    before = load.load(task, "test", str(tmp_path))
    flipped = "negative" if before[1].label == "positive" else "positive"
    write(tmp_path / "marc_ja" / "filter_review_id_list" / "valid.txt", f"{before[0].id}\nRX\n")
    write(
        tmp_path / "marc_ja" / "label_conv_review_id_list" / "valid.txt",
        f"{before[1].id},{flipped}\n",
    )
    caplog.clear()
    after = load.load(task, "test", str(tmp_path))
    assert [example.id for example in after] == [example.id for example in before[1:]]
    assert [example.label for example in after] == [
        flipped,
        *(example.label for example in before[2:]),
    ]
    assert "1 of 2 ids are not in the valid part" in caplog.text
    assert "without JGLUE's list" not in caplog.text


def test_marc_ja_keeps_every_character(tmp_path: Path) -> None:
    """One text more or less would give other rows than JGLUE's."""
    odd = [review(900 + n, 5, "良い\u200b品\ufffdでした。") for n in range(60)]
    train = load.load(marc(tmp_path, *odd), "train", str(tmp_path))
    assert "良い\u200b品\ufffdでした。" in {example.texts[0] for example in train}


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
    assert corpus.strip_html(source) == text


# COVID-19


def covid(folder: Path) -> Task:
    labels = (
        "tweet_id,assessment_option_id\n"
        + "".join(f"{n},{n}\n" for n in range(63, 69))
        + "99,63\n100,65\n"
    )
    write(folder / "covid19" / "train.csv.bz2", bz2.compress(labels.encode()))
    write(folder / "covid19" / "test.csv", "tweet_id,assessment_option_id\n63,63\n")
    texts = "".join(f'{n},"つぶやき、{n}"\n' for n in range(63, 69))
    write(folder / "covid19" / "tweets.csv", f"tweet_id,text\n{texts}100,\n")
    return shipped("covid19")


def test_covid19(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    examples = load.load(covid(tmp_path), "train", str(tmp_path))
    assert [(example.id, example.label) for example in examples] == [
        ("63", "public_fact"),
        ("64", "personal_fact"),
        ("65", "opinion"),
        ("67", "unrelated"),
    ]
    assert examples[0].texts == ("つぶやき、63",)
    assert "left out 2 undecided tweets (66, 68) and 2 without a text" in caplog.text
    assert len(load.load(covid(tmp_path), "test", str(tmp_path))) == 1


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
        fetch.GoldMissing,
        match=r"train.csv.bz2 has labels only, and .*tweets.csv with their texts is absent",
    ):
        load.load(task, "train", str(tmp_path))
