"""Gold data of a task: where it lies, how it is fetched, its examples and the shots drawn from them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from japagen.config.error import UserError, did_you_mean, is_number
from japagen.config.task import Gold, Task
from japagen.gold import corpus
from japagen.gold.example import Example, Split, nearest
from japagen.gold.fetch import locate, missing, places
from japagen.gold.rows import Fault, Row, csv_records, exists, json_records, picked, whole

log = logging.getLogger(__name__)

READ: dict[tuple[object, ...], list[Example]] = {}
KEPT = 2  # files: train and test of one task
FORMATS = ("jsonl", "csv", "tsv", "livedoor", "marc_ja", "covid19")


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
    if gold.format == "livedoor" or (
        gold.format != "marc_ja" and path in dict(places(gold, other, gold_dir)).values()
    ):
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
    told = (
        *(repr(part) for part in (task.kind, task.inputs, task.labels, gold)),
        split,
        stat.st_mtime_ns,
        stat.st_size,
    )
    # A folder may change without a trace on it, and the other corpora are read from more than one file.
    key = (
        (path, *told)
        if path.is_file() and gold.format in ("jsonl", "csv", "tsv", "livedoor")
        else None
    )
    if key not in READ or key is None:
        rows = enumerate(rows_of(path, task, gold, split), 1)
        examples = whole(path, (labelled(row, f"{split}-{n}", task, gold) for n, row in rows))
        if key is None:
            return examples
        READ[key] = examples
        if len(READ) > KEPT:
            del READ[next(iter(READ))]
    return list(READ[key])


def share(examples: Sequence[Example], split: Split) -> list[Example]:
    """The first 80 % for train, the last 10 % for test, of examples shuffled by seed 0."""
    shuffled = list(examples)
    random.Random(0).shuffle(shuffled)
    return (
        shuffled[: len(shuffled) * 8 // 10]
        if split == "train"
        else shuffled[len(shuffled) * 9 // 10 :]
    )


def checked(task: Task) -> Gold:
    """`task.gold`, or one UserError for what is wrong with it."""
    gold, fields = task.gold or Gold(), [*task.inputs, "label", "id"]
    strange = [key for key in gold.columns if key not in fields]
    faults = [
        f"columns has '{key}'; allowed: {', '.join(fields)}{did_you_mean(key, fields)}"
        for key in strange
    ]
    if gold.format not in FORMATS:
        faults.append(
            f"format is '{gold.format}'; allowed: {', '.join(FORMATS)}{did_you_mean(gold.format, FORMATS)}"
        )
    elif gold.format in FORMATS[3:] and len(task.inputs) != 1:
        faults.append(
            f"format {gold.format} has one text a row, but the task has inputs {', '.join(task.inputs)}"
        )
    for value, label in gold.labels.items():
        if label not in task.labels and not (task.kind == "regression" and is_number(label)):
            allowed = f"allowed: {', '.join(task.labels)}{did_you_mean(label, task.labels)}"
            faults.append(
                f"labels maps '{value}' to '{label}', which is no label of the task; {allowed}"
            )
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
            raise missing(
                task.name,
                split,
                f"{path} has labels only, and {tweets} with their texts is absent.",
                gold.how,
            )
        return corpus.covid19(path, tweets)
    records = (
        json_records(path)
        if gold.format == "jsonl"
        else csv_records(path, "," if gold.format == "csv" else "\t")
    )
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


def draw_shots(
    examples: Sequence[Example], task: Task, shots: int, seed: int, option: str = "shots"
) -> dict[str, list[Example]]:
    """`shots` examples of each label, drawn by seed; more shots keep those of fewer.

    For regression a row belongs to the level nearest to its score. Raises UserError, with the name of the `option` to
    lower, if a label has too few rows.
    """
    pools: dict[str, list[Example]] = {label: [] for label in task.labels}
    for example in examples:
        pools[nearest(example.label, task) if task.kind == "regression" else example.label].append(
            example
        )
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
