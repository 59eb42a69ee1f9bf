"""Gold data of the six tasks and of any user's JSONL, CSV or TSV, as one table form."""

from __future__ import annotations

import bz2
import csv
import functools
import gzip
import html
import io
import json
import logging
import random
import shutil
import string
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html.entities import html5
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal, TypeVar

from japagen.config import Gold, Task, UserError, did_you_mean, is_number
from japagen.embedded import cache_dir

log = logging.getLogger(__name__)

FORMATS = ("jsonl", "csv", "tsv", "livedoor", "marc_ja", "covid19")
Split = Literal["train", "test"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled example: `texts` in the order of task.inputs; `label` a name of task.labels or, for regression,
    a number as text."""

    id: str
    texts: tuple[str, ...]
    label: str


class GoldMissing(UserError):  # noqa: N818
    """No gold data where it was looked for; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as its file has it: `where` it stands, `id` or nothing, `label` before gold.labels is applied."""

    where: str
    id: str
    texts: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad row: `reason` is the same text for the same fault, `detail` what is there and what is allowed."""

    where: str
    reason: str
    detail: str


Record = tuple[str, dict[str, Any]]


def load(task: Task, split: Split, gold_dir: str | None) -> list[Example]:
    """All examples of a split. Raises GoldMissing, or UserError naming file, row (a line, from 1) and what is allowed.

    A file named under both gold.train and gold.test is shuffled by seed 0: train is its first 80 %, test its last 10 %.
    """
    gold = checked(task)
    path = locate(task, split, gold_dir)
    rows = enumerate(rows_of(path, task, gold, split), 1)
    examples = whole(path, (labelled(row, f"{split}-{n}", task, gold) for n, row in rows))
    if len({example.id for example in examples}) < len(examples):
        log.warning("%s: ids are not unique, row numbers stand for them", path)
        examples = [replace(example, id=f"{split}-{n}") for n, example in enumerate(examples, 1)]
    other: Split = "test" if split == "train" else "train"
    # MARC-ja has a cut of its own; livedoor is one archive whatever it is called.
    if gold.format == "livedoor" or (gold.format != "marc_ja" and path in dict(places(gold, other, gold_dir)).values()):
        examples = share(examples, split)
    if not examples:
        raise UserError(f"{path}: no row of it can be used as {split} data of task {task.name}")
    name, first = places(gold, split, gold_dir)[0]
    note = "" if path == first else f" ({name}, the first choice, is absent)"
    log.info("gold %s of %s: %d rows from %s%s", split, task.name, len(examples), path, note)
    return examples


def locate(task: Task, split: Split, gold_dir: str | None) -> Path:
    """The first file of gold.train or gold.test that exists, fetched if it may be. Raises GoldMissing."""
    if task.gold is None:
        raise GoldMissing(f"task {task.name} has no gold data: add `gold:` with format, train and test to its YAML")
    tried = list[str]()
    for name, path in places(task.gold, split, gold_dir):
        if not exists(path) and not gold_dir and name in task.gold.urls:
            tried.append(f"{task.gold.urls[name]} could not be fetched: {fetch(task.gold.urls[name], path)}. ")
        if exists(path):
            return path
    names = " or ".join(name for name, _ in places(task.gold, split, gold_dir))
    if not names:
        raise GoldMissing(f"task {task.name}: gold.{split} names no file: add `{split}: [FILE]` to `gold:` in its YAML")
    raise missing(task.name, split, f"looked for {names} in {base_of(gold_dir)}. {''.join(tried)}", task.gold.how)


def share(examples: Sequence[Example], split: Split) -> list[Example]:
    """The first 80 % for train, the last 10 % for test, of examples shuffled by seed 0."""
    shuffled = list(examples)
    random.Random(0).shuffle(shuffled)
    return shuffled[: len(shuffled) * 8 // 10] if split == "train" else shuffled[len(shuffled) * 9 // 10 :]


def missing(name: str, split: str, what: str, how: str) -> GoldMissing:
    """The one wording for gold data that is not there."""
    mend = f"{how.rstrip('. ')}; then name the folder around it" if how else "put it into a folder and name that"
    what = f"no gold {split} data for task {name}: {what.strip()}"
    return GoldMissing(f"{what} To have it: {mend}: export JAPAGEN_DATA=FOLDER")


def base_of(gold_dir: str | None) -> Path:
    """Where relative names of gold files start."""
    return Path(gold_dir).expanduser().absolute() if gold_dir else cache_dir() / "gold"


def places(gold: Gold, split: Split, gold_dir: str | None) -> list[tuple[str, Path]]:
    """(name in the YAML, path) of each file that may hold a split; an absolute or ~ name stays as it is."""
    names = gold.train if split == "train" else gold.test
    return [(name, base_of(gold_dir) / Path(name).expanduser()) for name in names]


def exists(path: Path) -> bool:
    """Whether `path` is there; UserError where a folder above it may not be looked into."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


@functools.cache
def fetch(url: str, path: Path) -> str:
    """Download `url` to `path`, whole or not at all; says why it failed, or nothing. One try a process."""
    import http.client
    import urllib.request

    log.info("fetching %s", url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, urllib.request.urlopen(url, timeout=10) as reply:
            part = Path(folder) / path.name
            with part.open("wb") as file:
                shutil.copyfileobj(reply, file)
            # A connection that ends early looks like the end of the file.
            size, length = part.stat().st_size, reply.headers.get("Content-Length")
            if length is not None and size != int(length):
                return f"the connection broke after {size} of {length} bytes"
            part.replace(path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{error}" or type(error).__name__
    return ""


def checked(task: Task) -> Gold:
    """`task.gold`, or one UserError for what is wrong with it."""
    gold, fields = task.gold or Gold(), [*task.inputs, "label", "id"]
    strange = [key for key in gold.columns if key not in fields]
    faults = [f"columns has '{key}'; allowed: {', '.join(fields)}{did_you_mean(key, fields)}" for key in strange]
    if gold.format not in FORMATS:
        faults.append(f"format is '{gold.format}'; allowed: {', '.join(FORMATS)}{did_you_mean(gold.format, FORMATS)}")
    elif gold.format in FORMATS[3:] and len(task.inputs) != 1:
        faults.append(f"format {gold.format} has one text a row, but the task has inputs {', '.join(task.inputs)}")
    for value, label in gold.labels.items():
        if label not in task.labels and not (task.kind == "regression" and is_number(label)):
            allowed = f"allowed: {', '.join(task.labels)}{did_you_mean(label, task.labels)}"
            faults.append(f"labels maps '{value}' to '{label}', which is no label of the task; {allowed}")
    if faults:
        raise UserError("\n".join(f"task {task.name}: gold.{fault}" for fault in faults))
    return gold


def rows_of(path: Path, task: Task, gold: Gold, split: Split) -> Iterable[Row | Fault]:
    """The rows of a gold file, whatever its format."""
    if gold.format == "livedoor":
        return livedoor(path)
    if gold.format == "marc_ja":
        return marc_ja(path, split)
    if gold.format == "covid19":
        return covid19(path, task.name, split, gold.how)
    records = json_records(path) if gold.format == "jsonl" else csv_records(path, "," if gold.format == "csv" else "\t")
    columns = [gold.columns.get(name, name) for name in task.inputs]
    return picked(records, columns, gold.columns.get("label", "label"), gold.columns.get("id"))


def labelled(row: Row | Fault, spare_id: str, task: Task, gold: Gold) -> Example | Fault:
    """The row with a label of the task, or what is wrong with it."""
    if isinstance(row, Fault):
        return row
    for name, text in zip(task.inputs, row.texts, strict=True):
        if not text.strip():
            return Fault(row.where, f"input '{name}' is empty", "allowed: any text")
    value = row.label.strip()
    label = gold.labels.get(value, value)
    if task.kind == "regression":
        low, high = (extreme(float(level) for level in task.labels) for extreme in (min, max))
        # Not a number compares as false, too.
        if not (is_number(label) and low <= float(label) <= high):
            detail = f"got '{label}'; allowed: a number from {low:g} to {high:g}"
            return Fault(row.where, "the label is not a score", detail)
    elif value not in (allowed := gold.labels or task.labels):
        detail = f"got '{value}'; allowed: {', '.join(allowed)}{did_you_mean(value, allowed)}"
        return Fault(row.where, "the label is not known", detail)
    return Example(row.id or spare_id, row.texts, label)


def whole(path: Path, items: Iterable[T | Fault]) -> list[T]:
    """The items, or one UserError: the first fault in detail and how many rows have it, too."""
    good, faults = list[T](), list[Fault]()
    for item in items:
        if isinstance(item, Fault):
            faults.append(item)
        else:
            good.append(item)
    if not faults:
        return good
    same = sum(fault.reason == faults[0].reason for fault in faults)
    counts = {"more with the same fault": same - 1, "with another": len(faults) - same}
    more = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    tail = f" (rows beside it: {more})" if more else ""
    raise UserError(f"{path}, {faults[0].where}: {faults[0].reason}: {faults[0].detail}{tail}")


def read_text(path: Path) -> str:
    """The text of a file, packed (.gz, .bz2) or not. Raises UserError if it is unreadable, cut off or no UTF-8."""
    try:
        data = path.read_bytes()
        data = (
            gzip.decompress(data) if path.suffix == ".gz" else bz2.decompress(data) if path.suffix == ".bz2" else data
        )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise unreadable(path, error) from error
    return decode(data, str(path))


def decode(data: bytes, where: str) -> str:
    """UTF-8 with or without a byte order mark, as text. Raises UserError."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{where}, row {data.count(bytes([10]), 0, error.start) + 1}: byte 0x{data[error.start]:02x}"
        mend = "if it is Shift_JIS: iconv -f CP932 -t UTF-8 FILE"
        raise UserError(f"{where} is not UTF-8; allowed: UTF-8 only ({mend})") from error


def unreadable(path: Path, error: Exception) -> UserError:
    """A file that is there and cannot be read."""
    mend = f"it is damaged or cut off: get it again in place of {path.name}"
    if isinstance(error, PermissionError):
        mend = f"let yourself read it: chmod -R u+rX '{path}'"
    elif isinstance(error, IsADirectoryError):
        mend = "a file is allowed here, a folder only in format livedoor"
    return UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}; {mend}")


def json_records(path: Path) -> Iterator[Record | Fault]:
    """(where, cells) of each line. Lines end in \\n alone: Japanese text may hold the other line ends of Unicode."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        try:
            cells = json.loads(line) if line.strip() else None
        except ValueError as error:
            yield Fault(f"row {number}", "not JSON, or cut off", f"{error}; allowed: one whole JSON object a line")
            continue
        if isinstance(cells, dict):
            yield f"row {number}", cells
        elif line.strip():
            yield Fault(f"row {number}", "not a JSON object", 'allowed: one object a line, as {"label": ...}')


def csv_records(path: Path, delimiter: str) -> Iterator[Record | Fault]:
    """(where, cells by the header's names) of each row."""
    header = list[str]()
    # Strict, or a quote mark left open would swallow rows without a word.
    for item in csv_cells(io.StringIO(read_text(path), newline=""), delimiter, strict=True):
        if isinstance(item, Fault):
            yield item
        elif not header:
            header = item[1]
        elif len(item[1]) != len(header):
            detail = f"it has {len(item[1])}; allowed: {len(header)}, as in the header"
            yield Fault(item[0], "another number of columns", detail)
        else:
            yield item[0], dict(zip(header, item[1], strict=True))


def csv_cells(file: io.StringIO, delimiter: str, strict: bool) -> Iterator[tuple[str, list[str]] | Fault]:
    """(the line it starts on, cells) of each row that is not blank."""
    csv.field_size_limit(1 << 30)
    reader, line = csv.reader(file, delimiter=delimiter, strict=strict), 1
    try:
        for cells in reader:
            if cells:
                yield f"row {line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        mend = 'a cell that starts with " must end with it, and a " inside such a cell is written twice'
        yield Fault(f"row {line}", "broken quotes", f"{error}; {mend}")


def picked(
    records: Iterable[Record | Fault], inputs: Sequence[str], label: str, key: str | None
) -> Iterator[Row | Fault]:
    """A Row of the named columns of each record; without `key` a column `id` is used where there is one."""
    needed = [*inputs, label, *([key] if key else [])]
    for record in records:
        if isinstance(record, Fault):
            yield record
            continue
        where, cells = record
        absent = next((column for column in needed if column not in cells), None)
        if absent is None:
            texts = tuple(text_of(cells[name]) for name in inputs)
            yield Row(where, text_of(cells.get(key or "id")), texts, text_of(cells[label]))
        else:
            detail = f"it has {', '.join(cells)}{did_you_mean(absent, cells)}"
            yield Fault(where, f"no column '{absent}'", f"{detail} (other names: gold.columns in the task's YAML)")


def text_of(value: object) -> str:
    """A cell as text; null, a list or an object is none."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, (list, dict)) else json.dumps(value)


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
            lines = [line.strip() for line in decode(articles[name], f"{path}: {name}").splitlines()[2:]]
            yield Row(name, file.removesuffix(".txt"), ("\n".join(line for line in lines if line),), section)


def folder_articles(path: Path) -> dict[str, bytes]:
    """`section/file` -> content."""
    return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in path.rglob("*.txt")}


def archive_articles(path: Path) -> dict[str, bytes]:
    """`section/file` -> content, read in the archive's order; nothing is unpacked to disk."""
    with tarfile.open(path) as archive:
        files = ((member.name.split("/")[-2:], archive.extractfile(member)) for member in archive)
        return {"/".join(name): file.read() for name, file in files if file and name[-1].endswith(".txt") and name[1:]}


def marc_ja(path: Path, split: Split) -> list[Row]:
    """MARC-ja as JGLUE makes it (yahoojapan/JGLUE, preprocess/marc-ja); test is JGLUE's valid part.

    One review more or less gives another shuffle, so that rows must be read and dropped as JGLUE does, to the letter.
    """
    rows = whole(path, reviews(path))
    random.Random(1).shuffle(rows)
    first, second = int(len(rows) * 0.94), int(len(rows) * (0.94 + 0.03))
    return rows[:first] if split == "train" else published(rows[first:second], path.parent)


def reviews(path: Path) -> Iterator[Row | Fault]:
    """Reviews of 1, 2, 4 or 5 stars that are at most 500 characters, less than 90 % of them ASCII."""
    cells = csv_cells(io.StringIO(read_text(path), newline=None), "\t", strict=False)
    for item in list(cells)[1:]:
        if isinstance(item, Fault):
            yield item
        elif len(item[1]) < 14 or item[1][7] not in tuple("12345"):
            yield Fault(item[0], "not a review", "allowed: 15 columns with tabs between, the 8th (stars) from 1 to 5")
        elif item[1][7] != "3":
            text = strip_html(item[1][13])
            ascii_share = sum(char in string.printable for char in text) / max(1, len(text))
            if ascii_share < 0.9 and len(text) <= 500:
                yield Row(item[0], item[1][2], (text,), "positive" if item[1][7] in "45" else "negative")


def published(rows: list[Row], folder: Path) -> list[Row]:
    """JGLUE's valid part less the ids it drops, with the labels it corrects, if their lists lie beside the reviews."""
    dropped = id_list(folder / "filter_review_id_list" / "valid.txt", rows)
    labels = id_list(folder / "label_conv_review_id_list" / "valid.txt", rows)
    return [replace(row, label=labels.get(row.id, row.label)) for row in rows if row.id not in dropped]


def id_list(path: Path, rows: Sequence[Row]) -> dict[str, str]:
    """review_id -> the label after it, if any, of a list of JGLUE; empty if it is absent. Says if it does not fit."""
    if not exists(path):
        log.warning("%s is absent: without JGLUE's list the rows are not quite JGLUE's", path)
        return {}
    ids = dict(line.partition(",")[::2] for line in read_text(path).split())
    strangers = len(ids.keys() - {row.id for row in rows})
    if strangers:
        log.warning("%s: %d of %d ids are not in the valid part: these are not JGLUE's rows", path, strangers, len(ids))
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


def covid19(path: Path, name: str, split: Split, how: str) -> Iterator[Row | Fault]:
    """Published labels joined with the user's tweets.csv; 66 and 68 (undecided) and absent tweets are left out."""
    tweets = path.parent / "tweets.csv"
    if not exists(tweets):
        raise missing(name, split, f"{path} has labels only, and {tweets} with their texts is absent.", how)
    with_text = picked(csv_records(tweets, ","), ["text"], "tweet_id", "tweet_id")
    texts = {row.id: row.texts for row in whole(tweets, with_text)}
    undecided = absent = 0
    for row in picked(csv_records(path, ","), [], "assessment_option_id", "tweet_id"):
        if isinstance(row, Fault):
            yield row
        elif row.label.strip() in ("66", "68"):
            undecided += 1
        elif not "".join(texts.get(row.id, "")).strip():
            absent += 1
        else:
            yield replace(row, texts=texts[row.id])
    log.info("%s: left out %d undecided tweets (66, 68) and %d without a text in tweets.csv", path, undecided, absent)


def nearest(score: str, task: Task) -> str:
    """The label of a regression task nearest to a score; of two, the one that task.labels has first."""
    return min(task.labels, key=lambda level: abs(float(level) - float(score)))


def draw_shots(examples: Sequence[Example], task: Task, shots: int, seed: int) -> dict[str, list[Example]]:
    """`shots` examples of each label, drawn by seed; more shots keep those of fewer.

    For regression a row belongs to the level nearest to its score. Raises UserError if a label has too few rows.
    """
    pools: dict[str, list[Example]] = {label: [] for label in task.labels}
    for example in examples:
        pools[nearest(example.label, task) if task.kind == "regression" else example.label].append(example)
    short = [f"'{label}'" for label, pool in pools.items() if len(pool) < shots]
    if short:
        counts = ", ".join(f"{label} {len(pool)}" for label, pool in pools.items())
        fewest = min(len(pool) for pool in pools.values())
        raise UserError(
            f"shots={shots} needs {shots} gold rows of each label; task {task.name} has too few of {', '.join(short)} "
            f"(rows of each label: {counts}); allowed: shots={fewest} or fewer, or add gold rows"
        )
    for label, pool in pools.items():
        random.Random(f"{seed} {label}").shuffle(pool)
    return {label: pool[:shots] for label, pool in pools.items()}
