"""Cross entropy with smoothed labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from japagen.config.limit import limited
from japagen.training.losses import RowLoss
from japagen.training.losses.cross_entropy import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class LabelSmoothing(RowLoss):
    """Cross entropy with a share `epsilon` of each target spread over all labels.

    Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision".
    """

    epsilon: float = limited(0.1, least=0, below=1)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row."""
        return cross_entropy(logits, targets, self.epsilon)
