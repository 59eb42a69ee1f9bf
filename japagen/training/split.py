"""Split the rows of a training into train, validation and test, without test leakage."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.gold import example, load
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.training import leakage
from japagen.training.identity import Training
from japagen.training.sources import Rows, Source, TrainingRow

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Example)


@dataclass(frozen=True)
class Parts:
    """The rows of one training.

    `no_gold`: why `test` is held out of the training rows; empty if it is gold.
    `overlap`: metrics of the rows left out because they are too similar to test rows.
    `partial`: whether `test` is only a part of the gold test rows.
    """

    train: list[TrainingRow]
    valid: list[TrainingRow]
    test: list[Example]
    no_gold: str = ""
    overlap: dict[str, float] = field(default_factory=dict)
    partial: bool = False


def read(training: Training) -> Parts:
    """Read all rows of a training; validation rows are drawn by seed.

    Without gold data the test rows are drawn, too. Raises GoldMissing if gold rows are to be
    trained on and there are none, UserError if a label has no row or there are too few rows.
    """
    data, task, seed = training.data, training.task, training.seed
    pools = data.rows(training.origin)
    test, no_gold = list[Example](), ""
    overlap = dict[str, float]()
    try:
        test = load.load(task, "test", training.gold_dir)
    except GoldMissing as missing:
        if "gold" in pools:
            raise
        no_gold = str(missing)
    if test:
        pools, overlap = without_leakage(pools, test, data.near_duplicate)
    if (number := data.num_per_label) is not None:
        pools = {source: few(rows, number, task, seed) for source, rows in pools.items()}
    if no_gold:
        pools["synthetic"], test = split(pools["synthetic"], data, task, seed, "test")
    train, valid = train_and_valid(pools, data, task, seed)
    check_labels(train, data, task)
    scored = test if no_gold else load.sample(test, data.test_limit, seed)
    return Parts(train, valid, scored, no_gold, overlap, len(scored) < len(test))


def without_leakage(
    pools: Rows, test: Sequence[Example], near_duplicate: float
) -> tuple[Rows, dict[str, float]]:
    """Return (the rows of each source that are not like a test row, the metrics overlap/...)."""
    kept, found = Rows(), {"overlap/train": 0.0, "overlap/near": 0.0}
    for source, rows in pools.items():
        kept[source], counts = leakage.without(rows, test, near_duplicate)
        leakage.report(source, len(rows), counts)
        found["overlap/train"] += counts["same"]
        found["overlap/near"] += counts["near"]
    return kept, found


def train_and_valid(
    pools: Rows, data: Source, task: Task, seed: int
) -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Return (training rows, validation rows), source after source.

    A few gold shots are all trained on, because one validation row of a label would choose by
    chance: validation is then on the other source, or on the training rows themselves. If gold
    rows are trained on last, validation is on gold rows only, where there are enough.
    """
    shots = data.gold_shots()
    train, valid = list[TrainingRow](), list[TrainingRow]()
    for source, rows in pools.items():
        whole = source == "gold" and shots is not None and round(shots * data.valid) < 2
        rest, taken = (rows, list[Example]()) if whole else split(rows, data, task, seed, "valid")
        train += marked(share(rest, data.fraction, task, seed), source)
        valid += marked(taken, source)
    if data.gold_after() is not None and any(row.source == "gold" for row in valid):
        valid = [row for row in valid if row.source == "gold"]
    if not valid:
        log.warning(
            "data.shots=%s leaves no rows for validation: valid/* is measured on the training rows",
            shots,
        )
    return train, valid or train


def marked(rows: Sequence[Example], source: str) -> list[TrainingRow]:
    """Return examples as training rows of `source`."""
    return [TrainingRow(row.id, row.texts, row.label, source) for row in rows]


def share(rows: Sequence[E], fraction: float, task: Task, seed: int) -> list[E]:
    """Return a fraction of the rows of each label, at least one, in their old order.

    A smaller fraction is a subset of a larger one.
    """
    places = [
        place
        for level in by_level(rows, task, seed)
        for place in level[: math.ceil(len(level) * fraction)]
    ]
    return [rows[place] for place in sorted(places)]


def by_level(rows: Sequence[Example], task: Task, seed: int) -> Iterator[list[int]]:
    """Yield the places of the rows of each label (regression: nearest level), shuffled by seed."""
    near = {
        text: text if task.kind == "classification" else example.nearest(text, task)
        for text in {row.label for row in rows}
    }
    for label in task.labels:
        places = [place for place, row in enumerate(rows) if near[row.label] == label]
        random.Random(f"{seed} {label}").shuffle(places)
        yield places


def few(rows: Sequence[E], number: int, task: Task, seed: int) -> list[E]:
    """Return at most `number` rows of each label, drawn by seed, in their old order."""
    levels = by_level(rows, task, seed)
    return [rows[place] for place in sorted(place for level in levels for place in level[:number])]


def split(
    rows: Sequence[E], data: Source, task: Task, seed: int, name: str
) -> tuple[list[E], list[E]]:
    """Return (the rest, a share data.valid of each label) for the part `name`, drawn by seed.

    A label with two rows or more is in both.
    """
    taken = set[int]()
    for places in by_level(rows, task, seed):
        taken.update(places[: max(min(1, len(places) - 1), round(len(places) * data.valid))])
    rest = [row for place, row in enumerate(rows) if place not in taken]
    # A correlation needs two rows, and so does a choice between checkpoints.
    if len(taken) < 2 or not rest:
        more = "a higher num_per_label" if data.sources == ("synthetic",) else "more gold rows"
        raise UserError(
            f"{len(rows)} rows are too few to keep some for '{name}': give {more}, or a higher "
            f"data.valid than {data.valid}"
        )
    return rest, [rows[place] for place in sorted(taken)]


def check_labels(train: Sequence[Example], data: Source, task: Task) -> None:
    """Raise UserError if a label has no training row: it could not be learned."""
    seen = {row.label for row in train}
    absent = [label for label in task.labels if label not in seen]
    if task.kind == "classification" and absent:
        synthetic = data.sources == ("synthetic",)
        more = "generate with a higher num_per_label" if synthetic else "add gold rows that have it"
        raise UserError(
            f"The training rows have no example of label {', '.join(absent)} of task {task.name}: "
            f"{more}."
        )
