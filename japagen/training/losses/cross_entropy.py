"""Cross entropy, the default for classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from japagen.training.losses import RowLoss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class CrossEntropy(RowLoss):
    """Minus the logarithm of the label's probability."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row."""
        return cross_entropy(logits, targets)


def cross_entropy(logits: Tensor, targets: Tensor, epsilon: float = 0.0) -> Tensor:
    """Return the cross entropy of each row, in 32 bits.

    `targets`: label numbers (rows,) or probabilities (rows, labels). `epsilon` of each target is
    spread over all labels.
    """
    from torch.nn import functional

    return functional.cross_entropy(
        logits.float(), targets, reduction="none", label_smoothing=epsilon
    )
