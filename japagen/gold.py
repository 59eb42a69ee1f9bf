"""Gold data of a task: where it lies, how it is fetched, its examples and the shots drawn from them."""

from __future__ import annotations

import functools
import logging
import random
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from japagen import corpus
from japagen.config import UserError, did_you_mean, is_number
from japagen.embedded import cache_dir
from japagen.table import Fault, Row, csv_records, exists, json_records, picked, whole
from japagen.task import Gold, Task

log = logging.getLogger(__name__)

READ: dict[tuple[object, ...], list[Example]] = {}
KEPT = 2  # files: train and test of one task
FORMATS = ("jsonl", "csv", "tsv", "livedoor", "marc_ja", "covid19")
Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled example: `texts` in the order of task.inputs; `label` a name of task.labels or, for regression,
    a number as text."""

    id: str
    texts: tuple[str, ...]
    label: str


class GoldMissing(UserError):
    """No gold data where it was looked for; the message says how to get it."""


def load(task: Task, split: Split, gold_dir: str | None) -> list[Example]:
    """All examples of a split. Raises GoldMissing, or UserError naming file, row (a line, from 1) and what is allowed.

    A file named under both gold.train and gold.test is shuffled by seed 0: train is its first 80 %, test its last 10 %.
    """
    gold = checked(task)
    path = locate(task, split, gold_dir)
    examples = read(path, task, gold, split)
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


def read(path: Path, task: Task, gold: Gold, split: Split) -> list[Example]:
    """The examples of one file; those of the last few files of rows are kept, for the other jobs of a sweep."""
    stat = path.stat()
    told = (*(repr(part) for part in (task.kind, task.inputs, task.labels, gold)), split, stat.st_mtime_ns, stat.st_size)
    # A folder may change without a trace on it, and the other corpora are read from more than one file.
    key = (path, *told) if path.is_file() and gold.format in ("jsonl", "csv", "tsv", "livedoor") else None
    if key not in READ or key is None:
        rows = enumerate(rows_of(path, task, gold, split), 1)
        examples = whole(path, (labelled(row, f"{split}-{n}", task, gold) for n, row in rows))
        if key is None:
            return examples
        READ[key] = examples
        if len(READ) > KEPT:
            del READ[next(iter(READ))]
    return list(READ[key])


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
    """The rows of a gold file, whatever its format. Raises GoldMissing where it needs another file beside it."""
    if gold.format == "livedoor":
        return corpus.livedoor(path)
    if gold.format == "marc_ja":
        return corpus.marc_ja(path, split)
    if gold.format == "covid19":
        if not exists(tweets := path.parent / "tweets.csv"):
            raise missing(task.name, split, f"{path} has labels only, and {tweets} with their texts is absent.", gold.how)
        return corpus.covid19(path, tweets)
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


def nearest(score: str, task: Task) -> str:
    """The label of a regression task nearest to a score; of two, the one that task.labels has first."""
    return min(task.labels, key=lambda level: abs(float(level) - float(score)))


def draw_shots(examples: Sequence[Example], task: Task, shots: int, seed: int, option: str = "shots") -> dict[str, list[Example]]:
    """`shots` examples of each label, drawn by seed; more shots keep those of fewer.

    For regression a row belongs to the level nearest to its score. Raises UserError, with the name of the `option` to
    lower, if a label has too few rows.
    """
    pools: dict[str, list[Example]] = {label: [] for label in task.labels}
    for example in examples:
        pools[nearest(example.label, task) if task.kind == "regression" else example.label].append(example)
    short = [f"'{label}'" for label, pool in pools.items() if len(pool) < shots]
    if short:
        counts = ", ".join(f"{label} {len(pool)}" for label, pool in pools.items())
        fewest = min(len(pool) for pool in pools.values())
        raise UserError(
            f"{option}={shots} needs {shots} gold rows of each label; task {task.name} has too few of {', '.join(short)} "
            f"(rows of each label: {counts}); allowed: {option}={fewest} or fewer, or add gold rows"
        )
    for label, pool in pools.items():
        random.Random(f"{seed} {label}").shuffle(pool)
    return {label: pool[:shots] for label, pool in pools.items()}
