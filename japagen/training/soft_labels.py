"""The probabilities that an LLM, asked again, gives to the labels of the examples it wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.gold.example import Example

FILE = "soft.jsonl"


def probabilities(rows: Sequence[Example], golden: int, config: TrainConfig) -> Tensor:
    """(rows, labels): what soft.jsonl beside the synthetic dataset says of each row; 1 for the label of the `golden` last rows."""
    path, task = identity.of(config).folder / FILE, config.task
    if not path.exists():
        raise UserError(
            f"loss=soft needs {path}, which is not there: generate.py writes it with filter=verified. "
            "Take a dataset with it, or another loss, e.g. loss=generalized_ce."
        )
    known = dict(read(path, task))
    written = rows[: len(rows) - golden]
    absent = [row.id for row in written if row.id not in known]
    if absent:
        raise UserError(
            f"{path} has no line for {len(absent)} of the {len(written)} training rows, the first is '{absent[0]}'"
        )
    certain = [[float(label == row.label) for label in task.labels] for row in rows[len(written) :]]
    return torch.tensor([*(known[row.id] for row in written), *certain])


def read(path: Path, task: Task) -> list[tuple[str, list[float]]]:
    """(id, a share for each of task.labels, which sum to 1) of every line; UserError names the line that is wrong."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            identifier, shares = str(row["id"]), [float(share) for share in row["probabilities"]]
        except (ValueError, KeyError, TypeError) as error:
            allowed = 'allowed: {"id": ..., "probabilities": [...]}'
            raise UserError(
                f"{path}, line {number}: {type(error).__name__}: {error}; {allowed}"
            ) from error
        if len(shares) != len(task.labels) or min(shares) < 0 or abs(sum(shares) - 1) > 0.01:
            raise UserError(
                f"{path}, line {number}: probabilities must be {len(task.labels)} shares that sum to 1, got {shares}"
            )
        found.append((identifier, [share / sum(shares) for share in shares]))
    return found
