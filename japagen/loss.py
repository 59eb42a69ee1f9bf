"""The training losses by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from japagen.check import LOSSES
from japagen.config import Loss

# (logits, targets, a weight for each label or None) -> the mean loss of a batch.
Function = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def choose(loss: Loss, kind: str) -> Function:
    """The loss that the options name; `auto` is the first of the task's kind."""
    name = next(name for name in LOSSES if LOSSES[name] == kind) if loss.name == "auto" else loss.name
    return FUNCTIONS[name]


def label_weights(targets: Sequence[float], labels: int) -> Tensor:
    """A weight for each label, in inverse proportion to its rows: all labels the same counts gives ones."""
    counts = torch.bincount(torch.tensor(targets).long(), minlength=labels)
    return len(targets) / (labels * counts.clamp(min=1).float())


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Logits (rows, labels), targets (rows) as label numbers."""
    return functional.cross_entropy(logits.float(), targets, weight=weights)


def mse(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """Mean squared error. Logits (rows, 1), targets (rows) as scores."""
    return functional.mse_loss(logits.float().squeeze(-1), targets)


FUNCTIONS: dict[str, Function] = {"cross_entropy": cross_entropy, "mse": mse}
