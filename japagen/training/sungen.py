"""A weight for every training row, learned on the valid rows while the student trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from japagen.training import loss

if TYPE_CHECKING:
    from japagen.training.module import Module

START = 0.5  # of every weight, in the middle of 0 to 1


class Reweight(Callback):
    """After each epoch, rows whose gradient agrees with that of a noise-robust loss on the valid rows weigh more, the others less.

    After SunGen (Gao et al. 2023, "Self-Guided Noise-Free Data Generation for Efficient Zero-Shot Learning"): weights from
    0 to 1 in the inner, weighted cross entropy; an outer step down the gradient of the reverse cross entropy on a synthetic
    valid set, for which the student is taken to be one step of plain gradient descent away. What differs: the student goes
    on from where it is rather than being trained anew under each new set of weights, and is itself the result; the gradient
    by the weights is reckoned through a finite difference, not by differentiating twice; it is scaled to `step` (root mean
    square) instead of having an optimiser of its own; a batch is a weighted mean. The valid rows that teach the weights
    choose the checkpoint as well. It takes two passes more over the training rows an epoch.
    """

    def __init__(self, step: float) -> None:
        self.step = step
        self.weights: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """The weights, for a training that goes on."""
        return {"weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The weights of the training that goes on."""
        self.weights = state_dict["weights"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with the weights of a checkpoint, if there was one."""
        if self.weights is not None:
            trainer.datamodule.tables["train"].extra["weight"].copy_(self.weights)  # type: ignore[attr-defined]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One outer step."""
        module: Any = pl_module
        tables, size = trainer.datamodule.tables, trainer.datamodule.config.data.batch_size  # type: ignore[attr-defined]
        with steady(module):
            direction = gradient(module, moved(tables["valid"], size, module))
            found = agreement(module, [*moved(tables["train"], size, module)], direction)
        weights = tables["train"].extra["weight"]
        weights += self.step * found / found.square().mean().sqrt().clamp(min=1e-12)
        self.weights = weights.clamp_(0, 1)
        module.record(
            {
                "weight/mean": float(weights.mean()),
                "weight/low": float((weights < START / 2).float().mean()),
            },
            module.global_step,
        )


@contextmanager
def steady(module: Module) -> Iterator[None]:
    """Without dropout, in full precision."""
    module.eval()
    with (
        torch.autocast(module.device.type, enabled=False),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield
    module.train()


def moved(table: Any, size: int, module: Module) -> Iterator[Mapping[str, Tensor]]:
    """The batches of a table on the module's device, from the shortest row to the longest."""
    return (
        {name: column.to(module.device) for name, column in table[rows].items()}
        for rows in table.in_order(size)
    )


def trained(module: Module) -> list[Tensor]:
    """The parameters that training changes."""
    return [weight for weight in module.parameters() if weight.requires_grad]


def gradient(module: Module, batches: Iterable[Mapping[str, Tensor]]) -> list[Tensor]:
    """Of the reverse cross entropy, summed over the batches, by each trained parameter."""
    total = [torch.zeros_like(weight) for weight in trained(module)]
    for batch in batches:
        value = loss.reverse_ce(module(batch), batch["target"]).sum()
        for place, part in enumerate(
            torch.autograd.grad(value, trained(module), allow_unused=True)
        ):
            if part is not None:
                total[place] += part
    return total


@torch.no_grad()
def agreement(
    module: Module, batches: Sequence[Mapping[str, Tensor]], direction: Sequence[Tensor]
) -> Tensor:
    """(rows): the product of each row's cross-entropy gradient with `direction`, from its loss before and after a small step.

    One pass more instead of a gradient a row; the step's length is that of Liu et al. 2019, "DARTS".
    """
    length = 0.01 / float(
        torch.stack([part.square().sum() for part in direction]).sum().sqrt().clamp(min=1e-12)
    )
    kept = [weight.clone() for weight in trained(module)]
    before = losses(module, batches)
    for weight, part in zip(trained(module), direction, strict=True):
        weight.sub_(part, alpha=length)
    after = losses(module, batches)
    for weight, old in zip(trained(module), kept, strict=True):
        weight.copy_(old)
    return (before - after) / length


def losses(module: Module, batches: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """The cross entropy of each row, in the order of the rows."""
    found = torch.cat(
        [loss.cross_entropy(module(batch), batch["target"]) for batch in batches]
    ).cpu()
    return found[torch.cat([batch["row"] for batch in batches]).cpu().argsort()]
