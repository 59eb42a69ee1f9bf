"""Load the gold examples of a task, and draw few-shot examples from them."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from japagen.config.error import UserError, did_you_mean, is_number
from japagen.config.task import Gold, Task
from japagen.gold.characters import readable
from japagen.gold.example import Example, Split, nearest
from japagen.gold.fetch import locate, places
from japagen.gold.format import FORMATS
from japagen.gold.rows import Fault, Row, plain, without_faults

log = logging.getLogger(__name__)

# The examples of the files read last, for the other jobs of a sweep.
CACHE: dict[tuple[object, ...], list[Example]] = {}
CACHED_FILES = 2  # train and test of one task


def load(task: Task, split: Split, gold_dir: str | None) -> list[Example]:
    """All examples of a split.

    A file named under several of gold.train, gold.dev and gold.test is shuffled with seed 0
    and cut: train 80 %, dev 10 %, test 10 %, unless gold.columns names a column `split`.
    Raises GoldMissing, or UserError with the file, the row (a line, from 1) and what is allowed.
    """
    gold = checked(task)
    path = locate(task, split, gold_dir)
    examples = read(path, task, gold, split)
    if len({example.id for example in examples}) < len(examples):
        log.warning("%s: ids are not unique; row numbers are used instead", path)
        examples = [replace(example, id=f"{split}-{n}") for n, example in enumerate(examples, 1)]
    if is_cut(gold, path, split, gold_dir):
        examples = share(examples, split)
    if not examples:
        raise UserError(f"{path}: no row of it can be used as {split} data of task {task.name}")
    name, first = places(gold, split, gold_dir)[0]
    note = "" if path == first else f" ({name}, the first choice, is absent)"
    log.info("gold %s of %s: %d rows from %s%s", split, task.name, len(examples), path, note)
    return examples


def is_cut(gold: Gold, path: Path, split: Split, gold_dir: str | None) -> bool:
    """Whether the file at `path` has the rows of several splits and must be cut at random."""
    cut = FORMATS[gold.format].cut
    if cut != "by_file" or "split" in gold.columns:
        return cut == "random"
    others: list[Split] = [other for other in get_args(Split) if other != split]
    return any(path in dict(places(gold, other, gold_dir)).values() for other in others)


def read(path: Path, task: Task, gold: Gold, split: Split) -> list[Example]:
    """The examples of one file, from the cache if the file has not changed since."""
    key = cache_key(path, task, gold, split)
    if key is not None and key in CACHE:
        return list(CACHE[key])
    rows = FORMATS[gold.format].read(path, task, gold, split)
    examples = without_faults(path, labelled(rows, split, task, gold))
    if key is not None:
        CACHE[key] = examples
        if len(CACHE) > CACHED_FILES:
            del CACHE[next(iter(CACHE))]
    return list(examples)


def cache_key(path: Path, task: Task, gold: Gold, split: Split) -> tuple[object, ...] | None:
    """All that the examples of a file depend on; None where a change would not be noticed."""
    # A folder may change while its own time stays, and some formats read several files.
    if not path.is_file() or not FORMATS[gold.format].one_file:
        return None
    stat = path.stat()
    options = (repr(part) for part in (task.kind, task.inputs, task.labels, gold))
    return (path, *options, split, stat.st_mtime_ns, stat.st_size)


def share(examples: Sequence[Example], split: Split) -> list[Example]:
    """The part for a split of examples shuffled with seed 0: 80 % train, 10 % dev, 10 % test."""
    shuffled = list(examples)
    random.Random(0).shuffle(shuffled)
    dev, test = len(shuffled) * 8 // 10, len(shuffled) * 9 // 10
    return {"train": shuffled[:dev], "dev": shuffled[dev:test], "test": shuffled[test:]}[split]


def checked(task: Task) -> Gold:
    """`task.gold`. Raises one UserError for everything that is wrong with it."""
    gold = task.gold or Gold()
    problems = [*format_problems(task, gold), *mapping_problems(task, gold)]
    if problems:
        raise UserError("\n".join(f"task {task.name}: gold.{problem}" for problem in problems))
    return gold


def format_problems(task: Task, gold: Gold) -> Iterator[str]:
    """What is wrong with the format and its columns."""
    fields = [*task.inputs, "label", "id", "split"]
    for key in gold.columns:
        if key not in fields:
            allowed = f"allowed: {', '.join(fields)}{did_you_mean(key, fields)}"
            yield f"columns has '{key}'; {allowed}"
    if gold.format not in FORMATS:
        allowed = f"allowed: {', '.join(FORMATS)}{did_you_mean(gold.format, FORMATS)}"
        yield f"format is '{gold.format}'; {allowed}"
    elif FORMATS[gold.format].one_text and len(task.inputs) != 1:
        inputs = ", ".join(task.inputs)
        yield f"format {gold.format} has one text per row, but the task has inputs {inputs}"
    for name in gold.urls:
        # Anything else would be written outside the cache.
        if Path(name).is_absolute() or name.startswith("~") or ".." in Path(name).parts:
            yield f"urls has '{name}'; allowed: a relative path without '..'"
    needed = [name for name in (*task.inputs, "label") if name not in gold.columns]
    needed += [name for name, column in gold.columns.items() if not column.isdecimal()]
    if gold.header is False and needed:
        example = f"columns: {{{needed[0]}: 3}}"
        yield (
            f"header=false needs a position, from 1, for {', '.join(needed)}; "
            f"allowed: e.g. {example}"
        )


def mapping_problems(task: Task, gold: Gold) -> Iterator[str]:
    """What is wrong with gold.labels and gold.splits."""
    for value, label in gold.labels.items():
        is_score = label is not None and task.kind == "regression" and is_number(label)
        if label is not None and label not in task.labels and not is_score:
            allowed = f"allowed: {', '.join(task.labels)}{did_you_mean(label, task.labels)}"
            yield f"labels maps '{value}' to '{label}', which is no label of the task; {allowed}"
    for value, split in gold.splits.items():
        if split is not None and split not in get_args(Split):
            yield f"splits maps '{value}' to '{split}'; allowed: {', '.join(get_args(Split))}, null"


def labelled(
    rows: Iterable[Row | Fault], split: Split, task: Task, gold: Gold
) -> Iterator[Example | Fault]:
    """The rows of a split as examples; rows whose split or label is mapped to null are dropped."""
    splits = {plain(value): name for value, name in gold.splits.items()} or {
        name: name for name in get_args(Split)
    }
    # In one form on both sides, or the same word would differ from itself.
    labels: dict[str, str | None] = {plain(label): label for label in task.labels}
    if gold.labels:
        labels = {plain(value): label for value, label in gold.labels.items()}
    is_verbatim = FORMATS[gold.format].verbatim
    for number, row in enumerate(rows, 1):
        if isinstance(row, Fault):
            yield row
        elif "split" in gold.columns and plain(row.split) not in splits:
            detail = f"got '{plain(row.split)}'; allowed: {', '.join(splits)}"
            yield Fault(row.where, "the split is not known", f"{detail} (others: gold.splits)")
        elif "split" not in gold.columns or splits[plain(row.split)] == split:
            whole = row if is_verbatim else readable(row, task)
            example: Example | Fault | None = (
                whole
                if isinstance(whole, Fault)
                else example_of(whole, f"{split}-{number}", task, labels)
            )
            if example is not None:
                yield example


def example_of(
    row: Row, spare_id: str, task: Task, labels: dict[str, str | None]
) -> Example | Fault | None:
    """The example of a row, or what is wrong with it; None if its label is mapped to null."""
    if fault := empty_input(row, task):
        return fault
    value = plain(row.label)
    label = labels.get(value, value if task.kind == "regression" else "")
    if label is None:
        return None
    if task.kind == "regression":
        low, high = (extreme(float(level) for level in task.labels) for extreme in (min, max))
        # NaN compares as false, too.
        if not (is_number(label) and low <= float(label) <= high):
            detail = f"got '{label}'; allowed: a number from {low:g} to {high:g}"
            return Fault(row.where, "the label is not a score", detail)
    elif value not in labels:
        detail = f"got '{value}'; allowed: {', '.join(labels)}{did_you_mean(value, labels)}"
        return Fault(row.where, "the label is not known", detail)
    return Example(row.id or spare_id, row.texts, label)


def empty_input(row: Row, task: Task) -> Fault | None:
    """The fault of a row with an input that shows nothing."""
    for name, text in zip(task.inputs, row.texts, strict=True):
        if not text.strip():
            return Fault(row.where, f"input '{name}' is empty", "allowed: any text")
    return None


def draw_shots(
    examples: Sequence[Example], task: Task, shots: int, seed: int, option: str = "shots"
) -> dict[str, list[Example]]:
    """`shots` examples of each label, drawn with `seed`; more shots keep those of fewer.

    For regression a row belongs to the level nearest to its score. Raises UserError, with the
    name of the `option` to lower, if a label has too few rows.
    """
    pools: dict[str, list[Example]] = {label: [] for label in task.labels}
    for example in examples:
        label = nearest(example.label, task) if task.kind == "regression" else example.label
        pools[label].append(example)
    short = [f"'{label}'" for label, pool in pools.items() if len(pool) < shots]
    if short:
        counts = ", ".join(f"{label} {len(pool)}" for label, pool in pools.items())
        fewest = min(len(pool) for pool in pools.values())
        raise UserError(
            f"{option}={shots} needs {shots} gold rows of each label; task {task.name} has too "
            f"few of {', '.join(short)} (rows of each label: {counts}); "
            f"allowed: {option}={fewest} or fewer, or add gold rows"
        )
    for label, pool in pools.items():
        random.Random(f"{seed} {label}").shuffle(pool)
    return {label: pool[:shots] for label, pool in pools.items()}


def sample(rows: Sequence[Example], limit: int | None, seed: int) -> list[Example]:
    """Return at most `limit` rows drawn by seed, in their order; a higher limit keeps these."""
    places = list(range(len(rows)))
    random.Random(seed).shuffle(places)
    return [rows[place] for place in sorted(places[:limit])]
