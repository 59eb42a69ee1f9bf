"""Examples -> tokens -> padded batches of rows of like length."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedTokenizerBase

from japagen.config import Student
from japagen.gold import Example

OURS = ("target", "row", "weight", "probabilities")  # what a batch has that is no input of the model
WINDOW = 50  # batches sorted by length together: nearly no padding, and batches still differ from epoch to epoch


def tokenise(rows: Sequence[Example], tokenizer: PreTrainedTokenizerBase, student: Student) -> tuple[dict[str, list[list[int]]], int]:
    """(model inputs by name, a list of numbers a row; how many rows were cut to max_length)."""
    first = [student.prefix + row.texts[0] for row in rows]
    second = [row.texts[1] for row in rows] if rows and len(rows[0].texts) > 1 else None
    # The tokenizer's own warning about long texts comes without a count; ours has it.
    columns = dict(tokenizer(first, second, verbose=False))
    long = [place for place, ids in enumerate(columns["input_ids"]) if len(ids) > student.max_length]
    if long:
        pairs = [second[place] for place in long] if second else None
        cut = tokenizer([first[place] for place in long], pairs, truncation=True, max_length=student.max_length)
        for name, column in columns.items():
            for place, ids in zip(long, cut[name], strict=True):
                column[place] = ids
    return columns, len(long)


class Rows(Dataset[dict[str, Tensor]]):
    """Tokenised rows. An item is a batch: the rows asked for, padded to the longest of them, with `target`, `row` and `extra`."""

    def __init__(self, columns: Mapping[str, list[list[int]]], targets: Sequence[float], pads: Mapping[str, int]) -> None:
        self.columns = {name: [torch.tensor(ids) for ids in column] for name, column in columns.items()}
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
            name: pad_sequence([column[row] for row in rows], batch_first=True, padding_value=self.pads.get(name, 0))
            for name, column in self.columns.items()
        }
        extra = {name: values[list(rows)] for name, values in self.extra.items()}
        return {**batch, **extra, "target": self.targets[list(rows)], "row": torch.tensor(rows)}


class Buckets(Sampler[list[int]]):
    """Batches of rows of like length, in an order of their own in each epoch; every row exactly once."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0
        # Sorting all of a small set would put the same rows together in every epoch.
        self.window = max(1, min(WINDOW, len(self) // 8)) * batch_size

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch is about to begin."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        draw = random.Random(f"{self.seed} {self.epoch}")
        rows = list(range(len(self.lengths)))
        draw.shuffle(rows)
        windows = [rows[start : start + self.window] for start in range(0, len(rows), self.window)]
        ordered = [row for window in windows for row in sorted(window, key=self.lengths.__getitem__)]
        batches = chunks(ordered, self.batch_size)
        draw.shuffle(batches)
        return iter(batches)


class Phases(Sampler[list[int]]):
    """Batches of all but the last `golden` rows for the first `switch` batches of the training, then of those rows alone.

    An epoch has `steps` batches whatever the phase, so a phase goes through its rows as often as there is room.
    """

    def __init__(self, lengths: Sequence[int], golden: int, batch_size: int, seed: int, steps: int, switch: int) -> None:
        first = len(lengths) - golden
        self.phases = Buckets(lengths[:first], batch_size, seed), Buckets(lengths[first:], batch_size, seed)
        self.first, self.steps, self.switch, self.epoch = first, steps, switch, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch is about to begin."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        held, batches = (-1, -1), list[list[int]]()
        for step in range(self.epoch * self.steps, (self.epoch + 1) * self.steps):
            phase = int(step >= self.switch)
            turn, place = divmod(step - phase * self.switch, len(self.phases[phase]))
            if held != (phase, turn):
                held = phase, turn
                self.phases[phase].set_epoch(turn)
                batches = [[row + phase * self.first for row in rows] for rows in self.phases[phase]]
            yield batches[place]


def chunks(rows: Sequence[int], size: int) -> list[list[int]]:
    """`rows` in lists of `size`, the last one shorter."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def loader(rows: Rows, batches: Sampler[list[int]] | list[list[int]]) -> DataLoader[dict[str, Tensor]]:
    """A batch is one item of `rows`, so that Lightning finds set_epoch on the loader's sampler."""
    return DataLoader(rows, sampler=batches, batch_size=None)
