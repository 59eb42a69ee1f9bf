"""Training losses, one file each, named like the YAML in conf/loss that names the class.

RowLoss is what others use; docs/add_a_loss.md says how to add one. These modules import torch only
inside functions, because options are checked before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from japagen.config.schema import Loss

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from torch import Tensor

    from japagen.dataset.identity import Dataset
    from japagen.training.sources import Source, TrainingRow


@dataclass
class RowLoss(Loss):
    """The loss of each row of a batch. Fields are its options, written as `loss.NAME=VALUE`.

    `kind`: the kind of task it is for, or None for both.
    """

    kind: ClassVar[str | None] = "classification"

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row, (rows,).

        Classification: `logits` (rows, labels) and `targets` (rows,) with label numbers, or what
        `extra` returns as "probabilities", (rows, labels). Regression: `logits` (rows, 1) and
        `targets` (rows,) with scores scaled to 0 to 1.
        """
        raise NotImplementedError

    def problems(self, data: Source) -> Iterator[str]:
        """Say why this loss cannot be used with these training rows."""
        yield from ()

    def extra(self, rows: Sequence[TrainingRow], dataset: Dataset) -> dict[str, Tensor]:
        """Return what the loss needs of each training row, by name, one entry a row.

        "weight": (rows,), how much a row counts. "probabilities": (rows, labels), used as targets.
        """
        return {}

    def callbacks(self) -> list[Callback]:
        """Return what happens between epochs."""
        return []
