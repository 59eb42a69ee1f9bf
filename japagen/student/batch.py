"""Tokens -> padded batches of rows of like length."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

OURS = (
    "target",
    "row",
    "weight",
    "probabilities",
)  # what a batch has that is no input of the model
WINDOW = 50  # batches sorted by length together: nearly no padding, and batches still differ from epoch to epoch


class Rows(Dataset[dict[str, Tensor]]):
    """Tokenised rows. An item is a batch: the rows asked for, padded to the longest of them, with `target`, `row` and `extra`."""

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
        # What else of a row the loss knows, by name in OURS, a row of a tensor each.
        self.extra: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.lengths)

    def in_order(self, batch_size: int) -> list[list[int]]:
        """Batches from the shortest row to the longest."""
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
    """Batches of rows of like length, in an order of their own in each epoch; every row exactly once.

    Of `world` processes that train together, each gets its own part of every batch, so that the batches are the same for any
    number of them.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0
        self.rank, self.world = rank, world
        # Sorting all of a small set would put the same rows together in every epoch.
        batches = math.ceil(len(lengths) / batch_size)
        self.window = max(1, min(WINDOW, batches // 8)) * batch_size
        # A checkpoint in the middle of an epoch keeps how many batches were given, and the next epoch skips those.
        self.skip, self.given = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch is about to begin."""
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
        """All batches of the present epoch."""
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
    """Batches of all but the last `golden` rows for the first `switch` batches of the training, then of those rows alone.

    An epoch has as many batches as both together would have, so a phase goes through its rows as often as there is room.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        golden: int,
        switch: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(lengths, batch_size, seed, rank, world)
        self.first, self.switch = len(lengths) - golden, switch
        self.phases = [
            Buckets(part, batch_size, seed)
            for part in (lengths[: self.first], lengths[self.first :])
        ]

    def batches(self) -> list[list[int]]:
        """All batches of the present epoch."""
        found, turns = list[list[int]](), dict[tuple[int, int], list[list[int]]]()
        for step in range(self.epoch * len(self), (self.epoch + 1) * len(self)):
            late = int(step >= self.switch)
            turn, place = divmod(step - late * self.switch, len(self.phases[late]))
            if (late, turn) not in turns:
                self.phases[late].set_epoch(turn)
                turns[late, turn] = [
                    [row + late * self.first for row in rows]
                    for rows in self.phases[late].batches()
                ]
            found.append(turns[late, turn][place])
        return found


def chunks(rows: Sequence[int], size: int) -> list[list[int]]:
    """`rows` in lists of `size`, the last one shorter."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def loader(
    rows: Rows, batches: Sampler[list[int]] | list[list[int]]
) -> DataLoader[dict[str, Tensor]]:
    """A batch is one item of `rows`, so that Lightning finds set_epoch on the loader's sampler."""
    # A die of its own: each epoch throws one, which must not change what dropout throws after a checkpoint.
    return DataLoader(rows, sampler=batches, batch_size=None, generator=torch.Generator())
