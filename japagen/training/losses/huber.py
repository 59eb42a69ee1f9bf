"""Huber loss, robust to wrong scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from japagen.config.limit import limited
from japagen.training.losses import RowLoss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Huber(RowLoss):
    """Half the squared error up to `delta`, linear beyond.

    `delta` is a share of the distance between the lowest and the highest level. Huber 1964, "Robust
    Estimation of a Location Parameter".
    """

    kind: ClassVar[str | None] = "regression"
    delta: float = limited(0.2, above=0)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row."""
        from torch.nn import functional

        scores = logits.float().squeeze(-1)
        return functional.huber_loss(scores, targets, reduction="none", delta=self.delta)
