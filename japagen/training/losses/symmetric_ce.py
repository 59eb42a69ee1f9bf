"""Symmetric cross entropy, robust to wrong labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from japagen.config.error import Unusable
from japagen.config.limit import limited
from japagen.training.losses import RowLoss
from japagen.training.losses.cross_entropy import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor

LOG_ZERO = -4.0  # used as the logarithm of 0; the value of Wang et al. for CIFAR-10


@dataclass
class SymmetricCE(RowLoss):
    """`alpha` times cross entropy plus `beta` times the reverse cross entropy.

    Wang et al. 2019, "Symmetric Cross Entropy for Robust Learning with Noisy Labels".
    """

    alpha: float = limited(0.1, least=0)
    beta: float = limited(1.0, least=0)

    def __post_init__(self) -> None:
        if self.alpha == self.beta == 0:
            raise Unusable(
                "loss.alpha and loss.beta are both 0: nothing would be trained; at least one must "
                "be above 0, e.g. loss.alpha=0.1 loss.beta=1"
            )

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row."""
        plain, reverse = cross_entropy(logits, targets), reverse_ce(logits, targets)
        return self.alpha * plain + self.beta * reverse


def reverse_ce(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the reverse cross entropy of each row: labels and predictions exchanged.

    It is minus the sum of p log y over the labels. y is 0 for all but the target, so the sum is
    LOG_ZERO times (1 - p of the target).
    """
    import torch

    return -LOG_ZERO * -torch.expm1(-cross_entropy(logits, targets))
