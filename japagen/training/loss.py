"""The training losses by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from japagen.config.choice import LOSSES
from japagen.config.schema import Loss

# (logits, targets) -> the loss of each row. Logits (rows, labels) with targets (rows) as label numbers, or (rows, 1) with scores.
Function = Callable[[Tensor, Tensor], Tensor]

LOG_ZERO = -4.0  # what symmetric_ce takes for the logarithm of 0; Wang et al. set it for CIFAR-10


def choose(loss: Loss, kind: str) -> Function:
    """The loss that the options name; `auto` is the first of the task's kind."""
    name = (
        next(name for name in LOSSES if LOSSES[name] == kind) if loss.name == "auto" else loss.name
    )
    known: dict[str, Function] = {
        "cross_entropy": cross_entropy,
        "label_smoothing": partial(cross_entropy, epsilon=loss.epsilon),
        "generalized_ce": partial(generalized_ce, q=loss.q),
        "symmetric_ce": partial(symmetric_ce, alpha=loss.alpha, beta=loss.beta),
        "soft": cross_entropy,
        "sungen": cross_entropy,
        "mse": mse,
        "huber": partial(huber, delta=loss.delta),
    }
    return known[name]


def label_weights(targets: Sequence[float], labels: int) -> Tensor:
    """A weight for each label, in inverse proportion to its rows: all labels the same counts gives ones."""
    counts = torch.bincount(torch.tensor(targets).long(), minlength=labels)
    return len(targets) / (labels * counts.clamp(min=1).float())


def mean(
    losses: Tensor, targets: Tensor, labels: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """The mean of a batch, weighted by the weight of each row's label, the weight of the row, both or neither."""
    weights = torch.ones_like(losses) if labels is None else labels[targets]
    weights = weights if rows is None else weights * rows
    return (losses * weights).sum() / weights.sum().clamp(min=1e-6)


def cross_entropy(logits: Tensor, targets: Tensor, epsilon: float = 0.0) -> Tensor:
    """Targets may be probabilities (rows, labels) as well.

    `epsilon` of a target is shared out to all labels: label smoothing, Szegedy et al. 2016, "Rethinking the Inception
    Architecture for Computer Vision".
    """
    return functional.cross_entropy(
        logits.float(), targets, reduction="none", label_smoothing=epsilon
    )


def generalized_ce(logits: Tensor, targets: Tensor, q: float) -> Tensor:
    """(1 - p^q) / q, between cross entropy (q near 0) and the mean absolute error (q of 1), which heeds wrong labels less.

    Zhang & Sabuncu 2018, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels"; without their
    truncation.
    """
    # Through the logarithm, whose gradient is there where p is 0 in floating point.
    return -torch.expm1(-q * cross_entropy(logits, targets)) / q


def symmetric_ce(logits: Tensor, targets: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha times cross entropy, beta times the reverse one, with labels and predictions exchanged.

    Wang et al. 2019, "Symmetric Cross Entropy for Robust Learning with Noisy Labels".
    """
    return alpha * cross_entropy(logits, targets) + beta * reverse_ce(logits, targets)


def reverse_ce(logits: Tensor, targets: Tensor) -> Tensor:
    """The sum of p log y over the labels, negative: y is 0 but for the target, so it is 4 (1 - p of the target)."""
    return -LOG_ZERO * -torch.expm1(-cross_entropy(logits, targets))


def mse(logits: Tensor, targets: Tensor) -> Tensor:
    """Squared error."""
    return (logits.float().squeeze(-1) - targets) ** 2


def huber(logits: Tensor, targets: Tensor, delta: float) -> Tensor:
    """Half the squared error up to `delta`, linear beyond: Huber 1964, "Robust Estimation of a Location Parameter"."""
    return functional.huber_loss(logits.float().squeeze(-1), targets, reduction="none", delta=delta)
