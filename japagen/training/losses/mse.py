"""Squared error, the default for regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from japagen.training.losses import RowLoss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class MSE(RowLoss):
    """Squared difference of score and target."""

    kind: ClassVar[str | None] = "regression"

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row."""
        return squared_error(logits, targets)


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of each row, in 32 bits."""
    return (logits.float().squeeze(-1) - targets) ** 2
