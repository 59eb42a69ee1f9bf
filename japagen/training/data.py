"""Synthetic rows, gold rows, a few of them or a mixture, split for training -> LightningDataModule."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from japagen.config import choice
from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.dataset.table import read
from japagen.gold import example, fetch, load
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.student.batch import Buckets, Phases, Rows, loader
from japagen.student.tokens import Tokens
from japagen.training import leakage, soft_labels, sungen

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The rows of one training. `no_gold` says why `test` is held out of the training source; empty where it is gold.

    `golden`: how many of train, its last ones, are gold; `overlap`: metrics of the rows that were too like the test rows.
    """

    train: list[Example]
    valid: list[Example]
    test: list[Example]
    no_gold: str = ""
    golden: int = 0
    overlap: dict[str, float] = field(default_factory=dict)


def parts(config: TrainConfig) -> Parts:
    """Read all rows; valid, and test where there is no gold, are drawn by seed out of the training sources."""
    pools = {source: SOURCES[source](config) for source in choice.SOURCES[config.data.name]}
    test, no_gold, found = list[Example](), "", dict[str, float]()
    try:
        test = load.load(config.task, "test", config.gold_dir)
    except GoldMissing as missing:
        if "gold" in pools:
            raise
        no_gold = str(missing)
    if test:
        pools, found = apart(pools, test, config)
    if config.data.num_per_label is not None:
        pools = {
            source: few(rows, config.data.num_per_label, config.task, config.training_seed)
            for source, rows in pools.items()
        }
    if no_gold:
        pools["synthetic"], test = split(pools["synthetic"], config, "test")
    train, valid = share_out(pools, config)
    check_labels([row for rows in train.values() for row in rows], config)
    return Parts(
        [row for rows in train.values() for row in rows],
        valid,
        test,
        no_gold,
        len(train.get("gold", [])),
        found,
    )


def gold_rows(config: TrainConfig) -> list[Example]:
    """All gold rows for training, or data.shots of each label: those that a prompt of as many shots shows."""
    rows = load.load(config.task, "train", config.gold_dir)
    if config.data.shots is None:
        return rows
    drawn = load.draw_shots(
        rows, config.task, config.data.shots, config.training_seed, option="data.shots"
    )
    return [row for shots in drawn.values() for row in shots]


def synthetic_rows(config: TrainConfig) -> list[Example]:
    """The examples of the dataset that the options name. Raises GoldMissing where it cannot be made, for want of gold to show."""
    try:
        return read(identity.of(config))
    except UserError as error:
        if config.shots:
            try:
                fetch.locate(config.task, "train", config.gold_dir)
            except GoldMissing as missing:
                raise GoldMissing(
                    f"{error}\nwhich needs gold examples to show to the LLM: {missing}"
                ) from error
        raise


# One function a source: all the rows that a student may be trained on.
SOURCES: dict[str, Callable[[TrainConfig], list[Example]]] = {
    "synthetic": synthetic_rows,
    "gold": gold_rows,
}

Pools = dict[str, list[Example]]


def source(config: TrainConfig) -> str:
    """Where the training rows come from, in words."""
    number = f"{config.data.shots} gold rows of each label" if config.data.shots else "gold"
    places = {"synthetic": str(identity.of(config).folder), "gold": number}
    return " and ".join(places[name] for name in choice.SOURCES[config.data.name])


def apart(
    pools: Pools, test: Sequence[Example], config: TrainConfig
) -> tuple[Pools, dict[str, float]]:
    """(the pools without rows of the test set or very like them, the metrics overlap/...)."""
    kept, found = Pools(), {"overlap/train": 0.0, "overlap/near": 0.0}
    for name, rows in pools.items():
        kept[name], counts = leakage.without(rows, test, config.data.near_duplicate)
        leakage.report(name, len(rows), counts)
        found["overlap/train"] += counts["same"]
        found["overlap/near"] += counts["near"]
    return kept, found


def share_out(pools: Pools, config: TrainConfig) -> tuple[Pools, list[Example]]:
    """(train rows by source, valid rows). Few shots are all trained on: a validation on one row of a label would be chance.

    Valid is then the rest of a mixture's rows or, where nothing else is there, the training rows themselves. Gold that is
    trained on last is what valid is for, so where it can spare rows all of them are gold.
    """
    train, valid = Pools(), Pools()
    for name, rows in pools.items():
        spares = (
            name != "gold"
            or config.data.shots is None
            or round(config.data.shots * config.data.valid) >= 2
        )
        train[name], valid[name] = split(rows, config, "valid") if spares else (rows, [])
        train[name] = fraction(train[name], config)
    if config.data.order == "synthetic_first" and valid["gold"]:
        valid["synthetic"] = []
    chosen = [row for rows in valid.values() for row in rows]
    if not chosen:
        log.warning(
            "data.shots=%s leaves no rows for validation: valid/* is of the training rows themselves",
            config.data.shots,
        )
    return train, chosen or [row for rows in train.values() for row in rows]


def fraction(rows: Sequence[Example], config: TrainConfig) -> list[Example]:
    """data.fraction of the rows of each label, one at least, in their old order; a smaller fraction is a part of a larger."""
    places = [
        place
        for level in by_level(rows, config.task, config.training_seed)
        for place in level[: math.ceil(len(level) * config.data.fraction)]
    ]
    return [rows[place] for place in sorted(places)]


def by_level(rows: Sequence[Example], task: Task, seed: int) -> Iterator[list[int]]:
    """Positions in `rows` of each label (of each nearest label for regression), shuffled by seed."""
    near = {
        text: text if task.kind == "classification" else example.nearest(text, task)
        for text in {row.label for row in rows}
    }
    for label in task.labels:
        places = [place for place, row in enumerate(rows) if near[row.label] == label]
        random.Random(f"{seed} {label}").shuffle(places)
        yield places


def few(rows: Sequence[Example], number: int, task: Task, seed: int) -> list[Example]:
    """At most `number` rows of each label, drawn by seed, in their old order."""
    return [
        rows[place]
        for place in sorted(
            place for places in by_level(rows, task, seed) for place in places[:number]
        )
    ]


def split(
    rows: Sequence[Example], config: TrainConfig, name: str
) -> tuple[list[Example], list[Example]]:
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
        more = (
            "generate with a higher num_per_label"
            if config.data.name == "synthetic"
            else "add gold rows that have it"
        )
        raise UserError(
            f"The training rows have no example of label {', '.join(absent)} of task {config.task.name}: {more}."
        )


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
        self.tables["train"].extra.update(self.extra())
        if any(cuts.values()):
            shares = ", ".join(
                f"{name} {100 * cut / len(self.tables[name]):.1f} %" for name, cut in cuts.items()
            )
            log.info(
                "rows cut to student.max_length=%d tokens: %s",
                self.config.student.max_length,
                shares,
            )

    def vocabulary(self) -> set[int]:
        """The numbers of all tokens in the rows for training and validation."""
        self.setup("fit")
        return {
            token
            for name in ("train", "valid")
            for ids in self.tables[name].columns["input_ids"]
            for token in ids.tolist()
        }

    def table(self, rows: Sequence[Example]) -> tuple[Rows, int]:
        """(the rows of one part, tokenised; how many of them were cut)."""
        columns, cut = self.tokens.columns(rows)
        return Rows(columns, targets(rows, self.config.task), self.tokens.pads), cut

    def extra(self) -> dict[str, Tensor]:
        """What the loss knows of a training row beside its target: `weight`, how much it counts, and `probabilities`."""
        rows, golden, weight = self.parts.train, self.parts.golden, self.config.data.gold_weight
        found = dict[str, Tensor]()
        if self.config.loss.name == "soft":
            found["probabilities"] = soft_labels.probabilities(rows, golden, self.config)
        if self.config.loss.name == "sungen":
            found["weight"] = torch.full([len(rows)], sungen.START)
        elif weight != 1:
            found["weight"] = torch.tensor([1.0] * (len(rows) - golden) + [weight] * golden)
        return found

    def steps(self) -> int:
        """Training batches in an epoch."""
        return math.ceil(len(self.parts.train) / self.batch_size)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches in a new order each epoch; with data.order=synthetic_first, of synthetic rows, then of gold ones."""
        rows, seed, epochs = (
            self.tables["train"],
            self.config.training_seed,
            (self.trainer.max_epochs if self.trainer else None) or 1,
        )
        rank, world = (
            (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        )
        if self.config.data.order == "together":
            return loader(rows, Buckets(rows.lengths, self.batch_size, seed, rank, world))
        switch = round(self.config.data.synthetic_share * self.steps() * epochs)
        return loader(
            rows,
            Phases(rows.lengths, self.parts.golden, switch, self.batch_size, seed, rank, world),
        )

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches in order of length."""
        return loader(
            self.tables["valid"], self.tables["valid"].in_order(self.config.data.batch_size)
        )

    def predict_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches of the test rows in order of length; `row` says which row is which."""
        return loader(
            self.tables["test"], self.tables["test"].in_order(self.config.data.batch_size)
        )
