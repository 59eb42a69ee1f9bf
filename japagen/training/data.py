"""The LightningDataModule: rows, tokenized once, as batches of rows of similar length."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student.batch import Buckets, Phases, Rows, loader
from japagen.student.tokens import Tokens
from japagen.training.identity import Training
from japagen.training.split import Parts

log = logging.getLogger(__name__)

FEW, MOST = 0.01, 0.9  # shares of unknown tokens: from which to warn, and from which to refuse


def targets(rows: Sequence[Example], task: Task) -> list[float]:
    """Return what the loss compares with: the number of the label, or the score."""
    if task.kind == "regression":
        return [float(row.label) for row in rows]
    return [task.labels.index(row.label) for row in rows]


class DataModule(LightningDataModule):
    """The tables "train", "valid" and "test" of one training, as batches."""

    def __init__(self, parts: Parts, training: Training, tokens: Tokens) -> None:
        super().__init__()
        self.parts, self.training, self.tokens = parts, training, tokens
        asked = training.data.batch_size
        # A few rows in large batches would be a few steps: 40 batches in an epoch, or 8 rows each.
        self.batch_size = min(asked, max(8, len(parts.train) // 40))
        self.tables: dict[str, Rows] = {}

    def setup(self, stage: str) -> None:
        """Tokenize all rows, the first time only."""
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
            length = self.training.student.max_length
            log.info("rows cut to student.max_length=%d tokens: %s", length, shares)
        self.check_unknown()

    def check_unknown(self) -> None:
        """Warn if more than 1 % of the training tokens are unknown; UserError if nearly all are."""
        share = self.tokens.unknown(self.parts.train)
        if share > FEW:
            log.warning(
                "%.1f %% of the tokens of the training rows are unknown to the tokenizer of %s: "
                "the student cannot tell them apart. Use a student for Japanese.",
                *(100 * share, self.training.student.name),
            )
        if share > MOST:
            raise UserError(
                f"{100 * share:.0f} % of the tokens of the training rows are unknown to the "
                f"tokenizer of student.pretrained={self.training.student.pretrained}: nothing can "
                f"be learned. Check its tokenizer files, or use a student for Japanese."
            )

    def table(self, rows: Sequence[Example]) -> tuple[Rows, int]:
        """Return (the rows of one part, tokenized; how many of them were cut)."""
        columns, cut = self.tokens.columns(rows)
        return Rows(columns, targets(rows, self.training.task), self.tokens.pads), cut

    def extra(self) -> dict[str, Tensor]:
        """Return what the loss needs of each training row, and its weight if not all are 1."""
        rows, data = self.parts.train, self.training.data
        found = self.training.loss.extra(rows, self.training.dataset)
        weights = [data.weight(row.source) for row in rows]
        if "weight" not in found and any(weight != 1 for weight in weights):
            found["weight"] = torch.tensor(weights)
        return found

    def vocabulary(self) -> set[int]:
        """Return the ids of all tokens in the rows for training and validation."""
        self.setup("fit")
        return {
            token
            for name in ("train", "valid")
            for ids in self.tables[name].columns["input_ids"]
            for token in ids.tolist()
        }

    def steps(self) -> int:
        """Return the number of training batches in an epoch."""
        return math.ceil(len(self.parts.train) / self.batch_size)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches in a new order each epoch; if gold rows come last, synthetic ones first."""
        rows, seed, trainer = self.tables["train"], self.training.seed, self.trainer
        epochs = (trainer.max_epochs if trainer else None) or 1
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        share = self.training.data.gold_after()
        if share is None:
            return loader(rows, Buckets(rows.lengths, self.batch_size, seed, rank, world))
        switch = round(share * self.steps() * epochs)
        late = [row.source == "gold" for row in self.parts.train]
        phases = Phases(rows.lengths, late, switch, self.batch_size, seed, rank, world)
        return loader(rows, phases)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches in order of length."""
        return self.in_order("valid")

    def predict_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Batches of the test rows in order of length; `row` is the number of each row."""
        return self.in_order("test")

    def in_order(self, name: str) -> DataLoader[dict[str, Tensor]]:
        """Batches of one table from the shortest row to the longest."""
        table = self.tables[name]
        return loader(table, table.in_order(self.training.data.batch_size))
