"""Soft labels: the probabilities that an LLM gave to the labels when it verified its examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.dataset.identity import Dataset
from japagen.training.sources import TrainingRow

FILE = "soft.jsonl"


def probabilities(rows: Sequence[TrainingRow], dataset: Dataset) -> Tensor:
    """Return (rows, labels): what soft.jsonl of the dataset says about each synthetic row.

    A gold row has 1 for its label. Raises UserError if the file or a row is missing.
    """
    path, task = dataset.folder / FILE, dataset.task
    if not path.exists():
        raise UserError(
            f"loss=soft needs {path}, which does not exist: generate.py writes it with "
            f"filter=soft. Use such a dataset, or another loss, e.g. loss=generalized_ce."
        )
    known = dict(read(path, task))
    written = [row.id for row in rows if row.source == "synthetic"]
    absent = [identifier for identifier in written if identifier not in known]
    if absent:
        raise UserError(
            f"{path} has no line for {len(absent)} of the {len(written)} synthetic training rows, "
            f"the first is '{absent[0]}'. Generate the dataset again with filter=soft."
        )
    certain = {label: [float(label == other) for other in task.labels] for label in task.labels}
    return torch.tensor(
        [known[row.id] if row.source == "synthetic" else certain[row.label] for row in rows]
    )


def read(path: Path, task: Task) -> list[tuple[str, list[float]]]:
    """Return (id, probabilities of task.labels) of every line; UserError names a wrong line."""
    found = dict[str, list[float]]()
    for number, line in enumerate(path.read_bytes().removesuffix(b"\n").split(b"\n"), 1):
        where = f"{path}, line {number}"
        try:
            identifier, shares = parsed(line.decode())
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            allowed = 'allowed: {"id": ..., "probabilities": [...]}'
            raise UserError(f"{where}: {type(error).__name__}: {error}; {allowed}") from error
        # NaN is not less than anything.
        is_right = len(shares) == len(task.labels) and all(share >= 0 for share in shares)
        if not (is_right and abs(sum(shares) - 1) <= 0.01):
            raise UserError(
                f"{where}: probabilities must be {len(task.labels)} shares that sum "
                f"to 1, got {shares}. Generate the dataset again with filter=soft."
            )
        if identifier in found:
            raise UserError(
                f"{where}: the id '{identifier}' is there twice; allowed: one line for each. "
                f"Generate the dataset again with filter=soft."
            )
        found[identifier] = [share / sum(shares) for share in shares]
    return list(found.items())


def parsed(line: str) -> tuple[str, list[float]]:
    """Return the id and the numbers of a line; errors of json.loads, KeyError or TypeError."""
    row = json.loads(line)
    identifier, numbers = row["id"], row["probabilities"]
    if not isinstance(numbers, list) or not all(type(one) in (int, float) for one in numbers):
        raise TypeError("probabilities are not a list of numbers")
    return str(identifier), [float(one) for one in numbers]
