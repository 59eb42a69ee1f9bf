"""Corpora with formats of their own: livedoor news, MARC-ja, the COVID-19 tweets."""

from __future__ import annotations

import logging
import random
import string
import tarfile
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from japagen.config.error import UserError
from japagen.gold.record import TableForm, table_cells, table_records
from japagen.gold.rows import Columns, Fault, Row, without_faults
from japagen.gold.rows import rows as rows_of
from japagen.gold.source import (
    decode,
    exists,
    read_text,
    too_large,
    unpacked_limit,
    unreadable,
)

log = logging.getLogger(__name__)

NOT_ARTICLES = ("LICENSE.txt", "README.txt", "CHANGES.txt")


def livedoor(path: Path) -> Iterator[Row]:
    """Articles of the livedoor news corpus, sorted by section and file: title, then body.

    `path` is the archive or the folder unpacked from it.
    """
    try:
        articles = folder_articles(path) if path.is_dir() else archive_articles(path)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise unreadable(path, error) from error
    for name in sorted(articles, key=lambda name: (tail(name), name)):
        section, file = tail(name).split("/")
        if file not in NOT_ARTICLES and not file.startswith("."):
            text = decode(articles[name], f"{path}: {name}")
            # The first two lines are address and date.
            lines = [line.strip() for line in text.splitlines()[2:]]
            body = "\n".join(line for line in lines if line)
            yield Row(name, file.removesuffix(".txt"), (body,), section)


def folder_articles(path: Path) -> dict[str, bytes]:
    """The path of each article, with the folder's name first -> content."""
    files = {file.relative_to(path.parent).as_posix(): file for file in path.rglob("*.txt")}
    return without_copies({name: file.read_bytes() for name, file in files.items()})


def archive_articles(path: Path) -> dict[str, bytes]:
    """The path of each article -> content. Nothing is unpacked to disk.

    Raises UserError for members that are links or devices or that lead out of the archive, and
    if all members together unpack to more than `unpacked_limit`.
    """
    articles = dict[str, bytes]()
    left = unpacked_limit(path.stat().st_size)
    with tarfile.open(path) as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not (member.isfile() or member.isdir()) or ".." in parts or "/" in parts[:1]:
                raise UserError(
                    f"{path}: member {member.name!r} is a link, a device or outside the archive; "
                    "allowed: files section/name.txt. Get the archive again from its publisher"
                )
            if not member.isfile():
                continue
            # Counted for every member, because tarfile unpacks what it skips.
            left -= member.size
            if left < 0:
                raise too_large(path)
            file = archive.extractfile(member)
            if file and len(parts) > 1 and parts[-1].endswith(".txt"):
                articles["/".join(parts)] = file.read()
    return without_copies(articles)


def without_copies(articles: dict[str, bytes]) -> dict[str, bytes]:
    """The articles without verbatim copies that have the same section and file name.

    A corpus is sometimes unpacked twice into one folder. Articles that only share section and
    name, below different folders, all stay.
    """
    first = dict[tuple[str, bytes], str]()
    for name in sorted(articles):
        first.setdefault((tail(name), articles[name]), name)
    return {name: articles[name] for name in first.values()}


def tail(name: str) -> str:
    """`section/file` of the path of an article."""
    return "/".join(PurePosixPath(name).parts[-2:])


def marc_ja(path: Path, split: Literal["train", "test"]) -> list[Row]:
    """MARC-ja as JGLUE makes it (yahoojapan/JGLUE, preprocess/marc-ja); test is JGLUE's valid part.

    One row more or less changes the shuffle, so rows are read and dropped exactly as in JGLUE.
    """
    rows = without_faults(path, reviews(path))
    random.Random(1).shuffle(rows)
    first, second = int(len(rows) * 0.94), int(len(rows) * (0.94 + 0.03))
    return rows[:first] if split == "train" else published(rows[first:second], path.parent)


def reviews(path: Path) -> Iterator[Row | Fault]:
    """Reviews of 1, 2, 4 or 5 stars of at most 500 characters, less than 90 % of them ASCII."""
    cells = table_cells(read_text(path), "\t", quoting=True, strict=False, newline=None)
    for item in list(cells)[1:]:
        if isinstance(item, Fault):
            yield item
        elif len(item[1]) < 14 or item[1][7] not in tuple("12345"):
            yield Fault(
                item[0],
                "not a review",
                "allowed: 15 columns with tabs between, the 8th (stars) from 1 to 5",
            )
        elif item[1][7] != "3":
            text = strip_html(item[1][13])
            ascii_share = sum(char in string.printable for char in text) / max(1, len(text))
            if ascii_share < 0.9 and len(text) <= 500:
                yield Row(
                    item[0], item[1][2], (text,), "positive" if item[1][7] in "45" else "negative"
                )


def published(rows: list[Row], folder: Path) -> list[Row]:
    """JGLUE's valid part with its id lists applied, if they are beside the reviews."""
    dropped = id_list(folder / "filter_review_id_list" / "valid.txt", rows)
    labels = id_list(folder / "label_conv_review_id_list" / "valid.txt", rows)
    return [
        replace(row, label=labels.get(row.id, row.label)) for row in rows if row.id not in dropped
    ]


def id_list(path: Path, rows: Sequence[Row]) -> dict[str, str]:
    """A list of JGLUE: review_id -> the label after it, or "". Logs if it is absent or unfit."""
    if not exists(path):
        log.warning(
            "%s is absent: without JGLUE's list the rows differ slightly from JGLUE's", path
        )
        return {}
    ids = dict(line.partition(",")[::2] for line in read_text(path).split())
    strangers = len(ids.keys() - {row.id for row in rows})
    if strangers:
        log.warning(
            "%s: %d of %d ids are not in the valid part: these are not JGLUE's rows",
            path,
            strangers,
            len(ids),
        )
    return ids


def strip_html(text: str) -> str:
    """The text without tags, entities as characters, by Beautiful Soup as in JGLUE."""
    if "<" not in text and "&" not in text:
        return text
    from bs4 import BeautifulSoup

    with warnings.catch_warnings():
        # Of reviews that look like an address or a file name.
        warnings.simplefilter("ignore")
        return BeautifulSoup(text, "html.parser").get_text()


def covid19(path: Path, tweets: Path) -> Iterator[Row | Fault]:
    """Published labels joined with tweets.csv, without undecided (66, 68) and absent tweets."""
    with_text = csv_rows(tweets, Columns(["text"], "tweet_id", "tweet_id"))
    texts = {row.id: row.texts for row in without_faults(tweets, with_text)}
    undecided = absent = 0
    for row in csv_rows(path, Columns([], "assessment_option_id", "tweet_id")):
        if isinstance(row, Fault):
            yield row
        elif row.label.strip() in ("66", "68"):
            undecided += 1
        elif not "".join(texts.get(row.id, "")).strip():
            absent += 1
        else:
            yield replace(row, texts=texts[row.id])
    log.info(
        "%s: left out %d undecided tweets (66, 68) and %d without a text in tweets.csv",
        path,
        undecided,
        absent,
    )


def csv_rows(path: Path, columns: Columns) -> Iterator[Row | Fault]:
    """The rows of a CSV file with a header."""
    return rows_of(table_records(path, TableForm(",", header=True), columns), columns)
