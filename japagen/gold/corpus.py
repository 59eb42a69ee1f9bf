"""Corpora that come in a form of their own: livedoor news, MARC-ja, the COVID-19 tweets."""

from __future__ import annotations

import html
import logging
import random
import string
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.entities import html5
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

from japagen.gold.record import TableForm, table_cells, table_records
from japagen.gold.rows import Columns, Fault, Row, without_faults
from japagen.gold.rows import rows as rows_of
from japagen.gold.source import decode, exists, read_text, unreadable

log = logging.getLogger(__name__)


def livedoor(path: Path) -> Iterator[Row]:
    """Articles of the livedoor news corpus by path, from its archive or the unpacked folder: title, then body."""
    try:
        articles = folder_articles(path) if path.is_dir() else archive_articles(path)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise unreadable(path, error) from error
    for name in sorted(articles):
        section, file = name.split("/")
        if file not in ("LICENSE.txt", "README.txt", "CHANGES.txt") and not file.startswith("."):
            # The first two lines are address and date.
            lines = [
                line.strip() for line in decode(articles[name], f"{path}: {name}").splitlines()[2:]
            ]
            yield Row(
                name,
                file.removesuffix(".txt"),
                ("\n".join(line for line in lines if line),),
                section,
            )


def folder_articles(path: Path) -> dict[str, bytes]:
    """`section/file` -> content."""
    return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in path.rglob("*.txt")}


def archive_articles(path: Path) -> dict[str, bytes]:
    """`section/file` -> content, read in the archive's order; nothing is unpacked to disk."""
    with tarfile.open(path) as archive:
        files = ((member.name.split("/")[-2:], archive.extractfile(member)) for member in archive)
        return {
            "/".join(name): file.read()
            for name, file in files
            if file and name[-1].endswith(".txt") and name[1:]
        }


def marc_ja(path: Path, split: Literal["train", "test"]) -> list[Row]:
    """MARC-ja as JGLUE makes it (yahoojapan/JGLUE, preprocess/marc-ja); test is JGLUE's valid part.

    One review more or less gives another shuffle, so that rows must be read and dropped as JGLUE does, to the letter.
    """
    rows = without_faults(path, reviews(path))
    random.Random(1).shuffle(rows)
    first, second = int(len(rows) * 0.94), int(len(rows) * (0.94 + 0.03))
    return rows[:first] if split == "train" else published(rows[first:second], path.parent)


def reviews(path: Path) -> Iterator[Row | Fault]:
    """Reviews of 1, 2, 4 or 5 stars that are at most 500 characters, less than 90 % of them ASCII."""
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
    """JGLUE's valid part less the ids it drops, with the labels it corrects, if their lists lie beside the reviews."""
    dropped = id_list(folder / "filter_review_id_list" / "valid.txt", rows)
    labels = id_list(folder / "label_conv_review_id_list" / "valid.txt", rows)
    return [
        replace(row, label=labels.get(row.id, row.label)) for row in rows if row.id not in dropped
    ]


def id_list(path: Path, rows: Sequence[Row]) -> dict[str, str]:
    """review_id -> the label after it, if any, of a list of JGLUE; empty if it is absent. Says if it does not fit."""
    if not exists(path):
        log.warning("%s is absent: without JGLUE's list the rows are not quite JGLUE's", path)
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


class Stripper(HTMLParser):
    """Collects text in the way of BeautifulSoup's get_text, which JGLUE used."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text, self.run = "", ""

    def flush(self, *_: object) -> None:
        """End a run of text between two tags; a blank one shrinks to one character."""
        blank = self.run and not self.run.strip(" \t\n\f\r")
        self.text += ("\n" if "\n" in self.run else " ") if blank else self.run
        self.run = ""

    # One signature serves the three hooks, which mypy does not see.
    handle_starttag = handle_endtag = handle_comment = flush  # type: ignore[assignment]

    def handle_data(self, data: str) -> None:
        # What stands in <script> and <style> is no text.
        self.run += "" if self.cdata_elem in ("script", "style") else data

    def handle_entityref(self, name: str) -> None:
        self.run += html5.get(f"{name};", f"&{name}")

    def handle_charref(self, name: str) -> None:
        self.run += html.unescape(f"&#{name};")


def strip_html(text: str) -> str:
    """The text without tags, entities as characters."""
    if "<" not in text and "&" not in text:
        return text
    stripper = Stripper()
    stripper.feed(text)
    stripper.close()
    stripper.flush()
    return stripper.text


def covid19(path: Path, tweets: Path) -> Iterator[Row | Fault]:
    """Published labels joined with the user's tweets.csv; 66 and 68 (undecided) and absent tweets are left out."""
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
    return rows_of(table_records(path, TableForm(",", header=True), columns.needed()), columns)
