"""The formats of gold files: a new format is one reader and one entry in FORMATS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from japagen.config.error import is_number
from japagen.config.task import Gold, Task
from japagen.gold import corpus
from japagen.gold.example import Split
from japagen.gold.fetch import missing
from japagen.gold.record import TableForm, json_records, table_records
from japagen.gold.rows import Columns, Fault, Row, plain, rows
from japagen.gold.source import exists

Reader = Callable[[Path, Task, Gold, Split], Iterable[Row | Fault]]


@dataclass(frozen=True, slots=True)
class Format:
    """How gold files of one format are read.

    `cut`: how rows are divided into splits. `by_file`: one file per split; a file named for
    both train and test is cut at random. `random`: always cut at random. `reader`: the reader
    returns the rows of the split.
    """

    read: Reader
    cut: Literal["by_file", "random", "reader"] = "by_file"
    one_text: bool = False  # rows have one text, so pairs of sentences are refused
    one_file: bool = True  # rows depend on this file alone, so they may be cached
    verbatim: bool = False  # texts keep invisible and damaged characters, as others use them


def jsonl(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """JSON lines: one object per line."""
    return rows(json_records(path), columns(task, gold))


def csv(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """Comma-separated cells, quoted where needed (RFC 4180) unless gold.quoting says otherwise."""
    known = None if gold.quoting else label_test(task, gold)
    return table(path, task, gold, TableForm(",", gold.header, gold.quoting is not False, known))


def tsv(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """Tab-separated cells, quoted or not."""
    return table(path, task, gold, TableForm("\t", gold.header, gold.quoting))


def table(path: Path, task: Task, gold: Gold, form: TableForm) -> Iterable[Row | Fault]:
    """The rows of a CSV or TSV file."""
    named = columns(task, gold)
    return rows(table_records(path, form, named), named)


def label_test(task: Task, gold: Gold) -> Callable[[str], bool]:
    """Whether a cell is a label of the task as the file writes it; of a regression, a score."""
    labels = {plain(label) for label in gold.labels or task.labels}
    if task.kind != "regression" or gold.labels:
        return lambda cell: plain(cell) in labels
    low, high = (extreme(float(level) for level in task.labels) for extreme in (min, max))
    return lambda cell: is_number(cell) and low <= float(cell) <= high


def columns(task: Task, gold: Gold) -> Columns:
    """The columns of a task's inputs and label, as gold.columns names them."""
    inputs = [gold.columns.get(name, name) for name in task.inputs]
    label = gold.columns.get("label", "label")
    return Columns(inputs, label, gold.columns.get("id"), gold.columns.get("split"))


def livedoor(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """The livedoor news corpus: the archive, or the folder unpacked from it."""
    return corpus.livedoor(path)


def marc_ja(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """Amazon reviews, filtered and divided as JGLUE does; it has no dev part."""
    return corpus.marc_ja(path, "train" if split == "train" else "test")


def covid19(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """Labels of tweets. Raises GoldMissing if tweets.csv with their texts is not beside them."""
    tweets = path.parent / "tweets.csv"
    if not exists(tweets):
        what = f"{path} has labels only, and {tweets} with their texts is absent."
        raise missing(task.name, split, what, gold.how)
    return corpus.covid19(path, tweets)


FORMATS = {
    "jsonl": Format(jsonl),
    "csv": Format(csv),
    "tsv": Format(tsv),
    "livedoor": Format(livedoor, cut="random", one_text=True),
    "marc_ja": Format(marc_ja, cut="reader", one_text=True, one_file=False, verbatim=True),
    "covid19": Format(covid19, one_text=True, one_file=False),
}
