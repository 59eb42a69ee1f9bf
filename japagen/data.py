"""Synthetic or gold rows, split for training -> LightningDataModule."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from japagen import gold, store
from japagen.batch import Buckets, Rows, loader
from japagen.config import Task, TrainConfig, UserError
from japagen.gold import Example, GoldMissing
from japagen.tokens import Tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The rows of one training. `no_gold` says why `test` is held out of the training source; empty where it is gold."""

    train: list[Example]
    valid: list[Example]
    test: list[Example]
    no_gold: str = ""


def parts(config: TrainConfig) -> Parts:
    """Read all rows; valid, and test where there is no gold, are drawn by seed out of the training source."""
    rows, test, no_gold = SOURCES[config.data.name](config), list[Example](), ""
    try:
        test = gold.load(config.task, "test", config.gold_dir)
    except GoldMissing as missing:
        if config.data.name == "gold":
            raise
        no_gold = str(missing)
    if config.data.num_per_label is not None:
        rows = few(rows, config.data.num_per_label, config.task, config.training_seed)
    if no_gold:
        rows, test = split(rows, config, "test")
    train, valid = split(rows, config, "valid")
    check_labels(train, config)
    return Parts(train, valid, test, no_gold)


# One function a value of `data`: all the rows that a student may be trained on.
SOURCES: dict[str, Callable[[TrainConfig], list[Example]]] = {
    "synthetic": store.read,
    "gold": lambda config: gold.load(config.task, "train", config.gold_dir),
}


def by_level(rows: Sequence[Example], task: Task, seed: int) -> Iterator[list[int]]:
    """Positions in `rows` of each label (of each nearest label for regression), shuffled by seed."""
    near = {text: text if task.kind == "classification" else nearest(text, task) for text in {row.label for row in rows}}
    for label in task.labels:
        places = [place for place, row in enumerate(rows) if near[row.label] == label]
        random.Random(f"{seed} {label}").shuffle(places)
        yield places


def nearest(score: str, task: Task) -> str:
    """The level of a regression task nearest to a score."""
    return min(task.labels, key=lambda label: abs(float(label) - float(score)))


def few(rows: Sequence[Example], number: int, task: Task, seed: int) -> list[Example]:
    """At most `number` rows of each label, drawn by seed, in their old order."""
    return [rows[place] for place in sorted(place for places in by_level(rows, task, seed) for place in places[:number])]


def split(rows: Sequence[Example], config: TrainConfig, name: str) -> tuple[list[Example], list[Example]]:
    """(the rest, a share of data.valid of each label), drawn by seed; every label with two rows is in both."""
    taken = set[int]()
    for places in by_level(rows, config.task, config.training_seed):
        taken.update(places[: max(min(1, len(places) - 1), round(len(places) * config.data.valid))])
    rest = [row for place, row in enumerate(rows) if place not in taken]
    # Correlations need two rows, and so does a choice between checkpoints.
    if len(taken) < 2 or not rest:
        more = "a higher num_per_label" if config.data.name == "synthetic" else "more gold rows"
        raise UserError(
            f"{len(rows)} rows are too few to keep some for '{name}': give {more}, or a higher data.valid than {config.data.valid}"
        )
    return rest, [rows[place] for place in sorted(taken)]


def check_labels(train: Sequence[Example], config: TrainConfig) -> None:
    """A student cannot learn a label of which it sees no row."""
    absent = [label for label in config.task.labels if label not in {row.label for row in train}]
    if config.task.kind == "classification" and absent:
        more = "generate with a higher num_per_label" if config.data.name == "synthetic" else "add gold rows that have it"
        raise UserError(f"The training rows have no example of label {', '.join(absent)} of task {config.task.name}: {more}.")


def targets(rows: Sequence[Example], task: Task) -> list[float]:
    """What the loss compares with: the label's number, or the score."""
    if task.kind == "regression":
        return [float(row.label) for row in rows]
    return [task.labels.index(row.label) for row in rows]


class DataModule(LightningDataModule):
    """Three tables, tokenised once, as batches of like length."""

    def __init__(self, parts: Parts, config: TrainConfig, tokens: Tokens) -> None:
        super().__init__()
        self.parts, self.config, self.tokens = parts, config, tokens
        # A few rows in large batches would be a few steps: 40 batches in an epoch, or batches of 8.
        self.batch_size = min(config.data.batch_size, max(8, len(parts.train) // 40))
        self.tables: dict[str, Rows] = {}

    def setup(self, stage: str) -> None:
        """Tokenise everything, the first time only."""
        if self.tables:
            return
        cuts = dict[str, int]()
        self.tokens.add([*self.parts.train, *self.parts.valid, *self.parts.test])
        for name in ("train", "valid", "test"):
            self.tables[name], cuts[name] = self.table(getattr(self.parts, name))
        if any(cuts.values()):
            shares = ", ".join(f"{name} {100 * cut / len(self.tables[name]):.1f} %" for name, cut in cuts.items())
            log.info("rows cut to student.max_length=%d tokens: %s", self.config.student.max_length, shares)

    def table(self, rows: Sequence[Example]) -> tuple[Rows, int]:
        """(the rows of one part, tokenised; how many of them were cut)."""
        columns, cut = self.tokens.columns(rows)
        return Rows(columns, targets(rows, self.config.task), self.tokens.pads), cut

    def steps(self) -> int:
        """Training batches in an epoch."""
        return math.ceil(len(self.parts.train) / self.batch_size)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches in a new order each epoch."""
        rows = self.tables["train"]
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return loader(rows, Buckets(rows.lengths, self.batch_size, self.config.training_seed, rank, world))

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches in order of length."""
        return loader(self.tables["valid"], self.tables["valid"].in_order(self.config.data.batch_size))

    def predict_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches of the test rows in order of length; `row` says which row is which."""
        return loader(self.tables["test"], self.tables["test"].in_order(self.config.data.batch_size))
