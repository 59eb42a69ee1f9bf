"""Generalized cross entropy, robust to wrong labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from japagen.config.limit import limited
from japagen.training.losses import RowLoss
from japagen.training.losses.cross_entropy import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class GeneralizedCE(RowLoss):
    """(1 - p^q) / q, where p is the probability of the label.

    Between cross entropy (q near 0) and the mean absolute error (q of 1), which is less sensitive
    to wrong labels. Zhang & Sabuncu 2018, "Generalized Cross Entropy Loss for Training Deep Neural
    Networks with Noisy Labels"; without their truncation.
    """

    q: float = limited(0.7, above=0, most=1)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row."""
        import torch

        # Through the logarithm: its gradient exists where p is 0 in floating point.
        return -torch.expm1(-self.q * cross_entropy(logits, targets)) / self.q
