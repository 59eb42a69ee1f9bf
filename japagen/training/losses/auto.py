"""The default loss of each kind of task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from japagen.training.losses import RowLoss
from japagen.training.losses.cross_entropy import cross_entropy
from japagen.training.losses.mse import squared_error

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Auto(RowLoss):
    """Cross entropy for label numbers, squared error for scores."""

    kind: ClassVar[str | None] = None

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row; label numbers are integers, scores are floats."""
        scores = targets.is_floating_point()
        return squared_error(logits, targets) if scores else cross_entropy(logits, targets)
