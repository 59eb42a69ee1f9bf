"""The mean loss of a batch, weighted by row and by label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def label_weights(targets: Sequence[float], labels: int) -> Tensor:
    """Return a weight for each label, in inverse proportion to its rows; equal counts give ones."""
    counts = torch.bincount(torch.tensor(targets).long(), minlength=labels)
    return len(targets) / (labels * counts.clamp(min=1).float())


def weighted_mean(
    losses: Tensor, targets: Tensor, labels: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """Return the mean of a batch, weighted by the row's label, by the row, by both or neither."""
    weights = torch.ones_like(losses) if labels is None else labels[targets]
    weights = weights if rows is None else weights * rows
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)
