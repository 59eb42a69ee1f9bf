"""Readers of gold files: any bytes give rows or a UserError; written rows read back the same."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from japagen.config.error import UserError
from japagen.gold import load
from japagen.gold.format import FORMATS
from japagen.gold.rows import Fault, Row
from tests.weather import user_gold, weather

QUICK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = settings(QUICK, max_examples=3000)

# What the readers look for, and what breaks them.
PIECES = st.sampled_from(
    [
        *("sentence", "label", "id", "hare", "ame", "空が青い。", ",", "\t", '"', '""', "\n", "\r"),
        *("\r\n", "\ufeff", "\0", "\x1b$B", "\u2028", "か\u3099", "\\ud83d", "{", "}", "[", "]"),
        *(": ", "null", "NaN", "1e999", "9" * 5000, "[" * 2000, '{"sentence": "空", "label": '),
        *("tweet_id", "text", "assessment_option_id", "63", "66", "<br>", "&#x110000;", "5"),
    ]
)
PIECES_AS_BYTES = st.lists(PIECES, max_size=30).map(lambda found: "".join(found).encode())


def tar_of(articles: Sequence[tuple[str, str]], mode: str = "w") -> bytes:
    """An archive in the form of the livedoor news corpus: (path below text/, content)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in articles:
            member = tarfile.TarInfo(f"text/{name}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return packed.getvalue()


def table_of(
    rows: Sequence[Sequence[str]], delimiter: str, quoting: int = csv.QUOTE_MINIMAL
) -> str:
    """Rows as Python's csv module writes them."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


REVIEW = [*["0"] * 7, "5", *["0"] * 5, "とても良い本でした。", "0"]
GOOD = {
    "jsonl": b'{"id": 1, "sentence": "\\u7a7a", "label": "hare"}\n' * 2,
    "csv": 'id,sentence,label\n1,"空が、\n""青い""",hare\n2,雨,ame\n'.encode(),
    "tsv": 'id\tsentence\tlabel\n1\t"空"\thare\n2\t雨\tame\n'.encode(),
    "livedoor": tar_of([("hare/hare-1.txt", "http://a/\n2010\n見出し\n本文\n")], "w:gz"),
    "marc_ja": table_of([["marketplace", *["x"] * 14], *[REVIEW] * 40], "\t").encode(),
    "covid19": b"tweet_id,assessment_option_id\n1,63\n2,66\n",
}


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A good file, cut, and with some of its bytes replaced by others."""
    data = bytearray(good[: draw(st.integers(0, len(good)))])
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 4))] = draw(
            st.binary(max_size=3) | PIECES_AS_BYTES
        )
    return bytes(data)


def contents(format: str) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=200) | PIECES_AS_BYTES | damaged(GOOD[format])


def assert_rows_or_error(
    folder: Path, format: str, name: str, content: bytes, **gold: object
) -> None:
    """Load a file of any content: rows of whole texts and known labels, or a UserError."""
    (folder / name).write_bytes(content)
    task = weather(user_gold(format, train=[name], test=["none"], dev=["none"], **gold))
    if format == "covid19":
        (folder / "tweets.csv").write_bytes("tweet_id,text\n1,空\n2,雨\n".encode())
        task.gold.labels = {"63": "hare"}  # type: ignore[union-attr]
    load.CACHE.clear()
    try:
        rows = load.load(task, "train", str(folder))
    except UserError:
        return
    assert rows
    for row in rows:
        assert row.label in task.labels
        assert row.texts[0].strip()
        row.texts[0].encode()


@pytest.mark.parametrize("format", FORMATS)
@given(data=st.data())
@QUICK
def test_any_bytes_are_rows_or_a_user_error(
    format: str, data: st.DataObject, tmp_path: Path
) -> None:
    assert_rows_or_error(tmp_path, format, "file", data.draw(contents(format)))


@pytest.mark.slow
@given(format=st.sampled_from(sorted(FORMATS)), data=st.data())
@LONG
def test_many_bytes_of_any_format(format: str, data: st.DataObject, tmp_path: Path) -> None:
    assert_rows_or_error(tmp_path, format, "file", data.draw(contents(format)))


@pytest.mark.parametrize("suffix", ["gz", "bz2"])
@given(data=st.data())
@QUICK
def test_any_packed_bytes(suffix: str, data: st.DataObject, tmp_path: Path) -> None:
    good = GOOD["jsonl"]
    packed = gzip.compress(good, mtime=0) if suffix == "gz" else bz2.compress(good)
    content = data.draw(st.binary(max_size=99) | damaged(packed))
    assert_rows_or_error(tmp_path, "jsonl", f"file.{suffix}", content)


@given(
    content=PIECES_AS_BYTES | damaged(GOOD["tsv"]),
    format=st.sampled_from(["csv", "tsv"]),
    header=st.sampled_from([None, False, True]),
    quoting=st.sampled_from([None, False, True]),
)
@QUICK
def test_any_bytes_with_any_form_of_table(
    content: bytes, format: str, header: bool | None, quoting: bool | None, tmp_path: Path
) -> None:
    columns = {} if header else {"sentence": "2", "label": "3"}
    assert_rows_or_error(
        tmp_path, format, "file", content, header=header, quoting=quoting, columns=columns
    )


# Round trips

# Files with NUL or an escape sequence of ISO-2022-JP are refused as another encoding.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1b")
TEXTS = st.text(CHARACTERS | st.sampled_from('",\t\n\r 空'), max_size=12)
BARE = TEXTS.map(lambda text: "".join(char for char in text if char not in '"\t\n\r'))
ROW = st.tuples(TEXTS, TEXTS, TEXTS)  # id, sentence, label
HEADER = ("id", "sentence", "label")


def rows_of(folder: Path, format: str, content: str | bytes, **gold: object) -> list[Row]:
    """The rows of a file as a reader gives them; none may be a fault."""
    path = folder / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    task = weather(source := user_gold(format, **gold))
    found = []
    for row in FORMATS[format].read(path, task, source, "train"):
        assert not isinstance(row, Fault), row
        found.append(row)
    return found


def triples(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    return [(row.id, row.texts[0], row.label) for row in rows]


@given(rows=st.lists(ROW, max_size=4), ascii=st.booleans())
@QUICK
def test_jsonl_reads_back(rows: list[tuple[str, ...]], ascii: bool, tmp_path: Path) -> None:
    objects = [dict(zip(HEADER, row, strict=True)) for row in rows]
    content = "".join(json.dumps(each, ensure_ascii=ascii) + "\n" for each in objects)
    assert triples(rows_of(tmp_path, "jsonl", content)) == rows


@given(
    rows=st.lists(ROW, max_size=4),
    format=st.sampled_from(["csv", "tsv"]),
    how=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@QUICK
def test_quoted_tables_read_back(
    rows: list[tuple[str, ...]], format: str, how: int, tmp_path: Path
) -> None:
    content = table_of([HEADER, *rows], "," if format == "csv" else "\t", how)
    assert triples(rows_of(tmp_path, format, content, quoting=True)) == rows


@given(rows=st.lists(st.tuples(BARE, BARE, BARE), max_size=4), end=st.sampled_from(["\n", "\r\n"]))
@QUICK
def test_plain_tsv_reads_back(rows: list[tuple[str, ...]], end: str, tmp_path: Path) -> None:
    content = "".join("\t".join(row) + end for row in (HEADER, *rows))
    assert triples(rows_of(tmp_path, "tsv", content)) == rows


@given(rows=st.lists(st.tuples(*[st.text("空\" '", max_size=6)] * 3), max_size=4))
@QUICK
def test_tsv_without_quoting_keeps_every_quotation_mark(
    rows: list[tuple[str, ...]], tmp_path: Path
) -> None:
    content = "".join("\t".join(row) + "\n" for row in (HEADER, *rows))
    assert triples(rows_of(tmp_path, "tsv", content, quoting=False)) == rows


BODY_LINE = TEXTS.map(lambda text: "".join(text.split())).filter(bool)


@given(
    bodies=st.lists(st.lists(BODY_LINE, min_size=1, max_size=3), max_size=4),
    packing=st.sampled_from(["w", "w:gz"]),
)
@QUICK
@example(bodies=[["一\x85二"], ["一\x1c二"]], packing="w")
def test_articles_read_back(bodies: list[list[str]], packing: str, tmp_path: Path) -> None:
    bodies = [["".join(line.split()) for line in body] for body in bodies]
    articles = [
        (f"topic/topic-{n}.txt", "\n".join(["http://a/", "2010-01-01", *body]))
        for n, body in enumerate(bodies)
    ]
    found = rows_of(tmp_path, "livedoor", tar_of(articles, packing))
    assert triples(found) == [
        (f"topic-{n}", "\n".join(body), "topic") for n, body in enumerate(bodies)
    ]


@given(texts=st.lists(TEXTS.filter(str.strip), min_size=1, max_size=4))
@QUICK
def test_tweets_read_back(texts: list[str], tmp_path: Path) -> None:
    numbers = [str(n) for n in range(len(texts))]
    named = [("tweet_id", "text"), *zip(numbers, texts, strict=True)]
    (tmp_path / "tweets.csv").write_bytes(table_of(named, ",").encode())
    labels = [("tweet_id", "assessment_option_id"), *((number, "63") for number in numbers)]
    found = rows_of(tmp_path, "covid19", table_of(labels, ","))
    assert triples(found) == [(n, text, "63") for n, text in zip(numbers, texts, strict=True)]


@given(
    texts=st.lists(st.text("空雨が降る。「」", min_size=1, max_size=9), min_size=1, max_size=40),
    stars=st.integers(1, 5),
)
@QUICK
def test_reviews_read_back(texts: list[str], stars: int, tmp_path: Path) -> None:
    lines = [["x"] * 15]
    for n, text in enumerate(texts):
        lines.append([*["0"] * 2, f"R{n}", *["0"] * 4, str(stars), *["0"] * 5, text, "0"])
    found = rows_of(tmp_path, "marc_ja", table_of(lines, "\t"))
    label = "positive" if stars > 3 else "negative"
    known = {(f"R{n}", text, label) for n, text in enumerate(texts)}
    assert set(triples(found)) <= known
    assert len(found) == (0 if stars == 3 else int(len(texts) * 0.94))
