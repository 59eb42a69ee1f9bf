"""The rows to measure and the gold rows beside them, and seeded samples of both."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from japagen.config.task import Task
from japagen.gold import load
from japagen.gold.example import Example, Split, nearest
from japagen.gold.fetch import GoldMissing, places
from japagen.gold.source import exists

SEED = 0  # of every sample: the same rows give the same figures
SAMPLE = 2000  # rows of the measures that compare every n-gram, or train a classifier


@dataclass(frozen=True)
class Data:
    """A synthetic dataset and gold rows.

    `gold`: gold train rows, so that a dataset may be improved by its measures without use of test
    rows. `test`: gold test rows, to find leaked ones and to score a student. Both may be empty.
    """

    task: Task
    rows: Sequence[Example]
    gold: Sequence[Example] = ()
    test: Sequence[Example] = ()


def beside_gold(
    rows: Sequence[Example], task: Task, gold_dir: str | None, fetch: bool = True
) -> tuple[Data, list[str]]:
    """The rows beside the gold rows that there are, and lines on those that are missing.

    Without `fetch`, only gold files that are already on this machine are read.
    """
    lines, found = list[str](), dict[Split, list[Example]]()
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        try:
            if fetch or is_here(task, split, gold_dir):
                found[split] = load.load(task, split, gold_dir)
        except GoldMissing as missing:
            lines.append(f"Not compared with gold {split} rows. {missing}")
    gold = found.get("train", [])
    if rows and gold and not set(groups(rows, task)) & set(groups(gold, task)):
        lines.append("Not compared with gold train rows: they have none of the rows' labels.")
        gold = []
    return Data(task, rows, gold, found.get("test", ())), lines


def is_here(task: Task, split: Split, gold_dir: str | None) -> bool:
    """Whether a gold file of the split is on this machine."""
    gold = task.gold
    return gold is not None and any(exists(path) for _, path in places(gold, split, gold_dir))


def group(row: Example, task: Task) -> str:
    """The label of a row; for regression the nearest level."""
    return nearest(row.label, task) if task.kind == "regression" else row.label


def groups(rows: Sequence[Example], task: Task) -> list[str]:
    """The label of each row; for regression the nearest level."""
    return [group(row, task) for row in rows]


def by_label(rows: Sequence[Example], task: Task) -> dict[str, list[Example]]:
    """The rows of each label; for regression of the nearest level."""
    found: dict[str, list[Example]] = {label: [] for label in task.labels}
    for row in rows:
        found[group(row, task)].append(row)
    return found


def some(rows: Sequence[Example], number: int = SAMPLE) -> list[Example]:
    """At most `number` rows in random order, always the same ones."""
    return random.Random(SEED).sample(list(rows), min(number, len(rows)))


def in_order(rows: Sequence[Example], number: int) -> list[Example]:
    """At most `number` rows in their order, always the same ones."""
    return load.sample(rows, number, SEED)


def matched(data: Data, number: int = SAMPLE) -> tuple[list[Example], list[Example]]:
    """(rows, gold rows): equally many of each label, about `number` of each in all.

    Most measures depend on the number of rows, and classifiers on the balance of labels.
    """
    rows, gold = list[Example](), list[Example]()
    theirs = by_label(data.gold, data.task)
    most = max(1, number // len(data.task.labels))
    for label, own in by_label(data.rows, data.task).items():
        size = min(len(own), len(theirs[label]), most)
        rows += some(own, size)
        gold += some(theirs[label], size)
    return rows, gold
