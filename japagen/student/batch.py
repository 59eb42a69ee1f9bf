"""Padded batches of tokenized rows of similar length."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

# What a batch has that is no input of the model.
OURS = ("target", "row", "weight", "probabilities")
# Batches that are sorted by length together: nearly no padding, and batches still differ from one
# epoch to the next.
WINDOW = 50


class Rows(Dataset[dict[str, Tensor]]):
    """Tokenized rows. An item is a batch: the rows asked for, padded to the longest of them.

    A batch has the model's inputs, `target`, `row` (the numbers of the rows) and `extra`: what else
    the loss needs, by a name in OURS, one entry a row.
    """

    def __init__(
        self,
        columns: Mapping[str, list[list[int]]],
        targets: Sequence[float],
        pads: Mapping[str, int],
    ) -> None:
        self.columns = {
            name: [torch.tensor(ids) for ids in column] for name, column in columns.items()
        }
        self.targets, self.pads = torch.tensor(targets), pads
        self.lengths = [len(ids) for ids in columns["input_ids"]]
        self.extra: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.lengths)

    def in_order(self, batch_size: int) -> list[list[int]]:
        """Return batches of row numbers from the shortest row to the longest."""
        return chunks(sorted(range(len(self)), key=self.lengths.__getitem__), batch_size)

    def __getitem__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        batch = {
            name: pad_sequence(
                [column[row] for row in rows],
                batch_first=True,
                padding_value=self.pads.get(name, 0),
            )
            for name, column in self.columns.items()
        }
        extra = {name: values[list(rows)] for name, values in self.extra.items()}
        return {**batch, **extra, "target": self.targets[list(rows)], "row": torch.tensor(rows)}


class Buckets(Sampler[list[int]]):
    """Batches of rows of similar length, in a new order each epoch; every row exactly once.

    Each of `world` processes that train together gets its part of every batch, so that the batches
    are the same for any number of processes.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0
        self.rank, self.world = rank, world
        # Sorting all of a small set would put the same rows together in every epoch.
        batches = math.ceil(len(lengths) / batch_size)
        self.window = max(1, min(WINDOW, batches // 8)) * batch_size
        # A checkpoint within an epoch keeps `given`, the number of batches that were used; training
        # that resumes from it skips as many.
        self.skip, self.given = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        skip, self.skip = self.skip, 0
        self.given = skip
        for batch in self.batches()[skip:]:
            self.given += 1
            # The last batch may have fewer rows than there are processes, and each needs one.
            yield batch[self.rank :: self.world] or batch[:1]

    def batches(self) -> list[list[int]]:
        """Return all batches of the current epoch."""
        draw = random.Random(f"{self.seed} {self.epoch}")
        rows = list(range(len(self.lengths)))
        draw.shuffle(rows)
        windows = [rows[start : start + self.window] for start in range(0, len(rows), self.window)]
        ordered = [
            row for window in windows for row in sorted(window, key=self.lengths.__getitem__)
        ]
        batches = chunks(ordered, self.batch_size)
        draw.shuffle(batches)
        return batches


class Phases(Buckets):
    """Batches of the early rows in the first `switch` batches of a training, then of late rows.

    `late` says which rows are late ones. An epoch has as many batches as all rows together would
    have, so a phase repeats its rows as often as there is room.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        late: Sequence[bool],
        switch: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(lengths, batch_size, seed, rank, world)
        self.switch = switch
        self.rows = [
            [row for row, flag in enumerate(late) if flag is phase] for phase in (False, True)
        ]
        self.phases = [
            Buckets([lengths[row] for row in rows], batch_size, seed) for rows in self.rows
        ]

    def batches(self) -> list[list[int]]:
        """Return all batches of the current epoch."""
        found, rounds = list[list[int]](), dict[tuple[int, int], list[list[int]]]()
        for step in range(self.epoch * len(self), (self.epoch + 1) * len(self)):
            phase = int(step >= self.switch)
            turn, place = divmod(step - phase * self.switch, len(self.phases[phase]))
            if (phase, turn) not in rounds:
                self.phases[phase].set_epoch(turn)
                rounds[phase, turn] = self.phases[phase].batches()
            found.append([self.rows[phase][row] for row in rounds[phase, turn][place]])
        return found


def chunks(rows: Sequence[int], size: int) -> list[list[int]]:
    """Return `rows` in lists of `size`; the last one may be shorter."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def loader(
    rows: Rows, batches: Sampler[list[int]] | list[list[int]]
) -> DataLoader[dict[str, Tensor]]:
    """Return a loader whose sampler gives whole batches, so that Lightning finds its set_epoch."""
    # A separate random generator, so that shuffling does not advance dropout's.
    return DataLoader(rows, sampler=batches, batch_size=None, generator=torch.Generator())
