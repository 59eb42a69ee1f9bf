"""SunGen: learn a weight for each training row on the validation rows while the student trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from japagen.training.losses.cross_entropy import cross_entropy
from japagen.training.losses.symmetric_ce import reverse_ce

if TYPE_CHECKING:
    from japagen.training.module import Module

START = 0.5  # the first weight of every row, in the middle of 0 to 1


class Reweight(Callback):
    """Change the weights of the training rows after each epoch.

    Rows whose gradient agrees with that of a noise-robust loss on the validation rows get a higher
    weight, the others a lower one. After SunGen (Gao et al. 2023, "Self-Guided Noise-Free Data
    Generation for Efficient Zero-Shot Learning"): weights from 0 to 1 in the inner, weighted cross
    entropy; an outer step down the gradient of the reverse cross entropy on a synthetic validation
    set, for which the student counts as one step of plain gradient descent away.

    Differences: the student continues from where it is instead of being trained again with each set
    of weights, and is the result; the gradient with respect to the weights is a finite difference
    instead of a second derivative; it is scaled to `step` (root mean square) instead of having its
    own optimizer; a batch is a weighted mean. The validation rows that teach the weights also
    choose the checkpoint. An epoch takes two more passes over the training rows.
    """

    def __init__(self, step: float) -> None:
        self.step = step
        self.weights: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the weights, for the checkpoint."""
        return {"weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the weights of a checkpoint."""
        self.weights = state_dict["weights"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Use the weights of a checkpoint, if there was one."""
        if self.weights is not None:
            loader: Any = trainer.datamodule  # type: ignore[attr-defined]
            loader.tables["train"].extra["weight"].copy_(self.weights)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """One outer step."""
        module: Any = pl_module
        loader: Any = trainer.datamodule  # type: ignore[attr-defined]
        tables, size = loader.tables, loader.training.data.batch_size
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
    """Turn off dropout and reduced precision."""
    module.eval()
    with (
        torch.autocast(module.device.type, enabled=False),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield
    module.train()


def moved(table: Any, size: int, module: Module) -> Iterator[Mapping[str, Tensor]]:
    """Yield the batches of a table on the module's device, from the shortest row to the longest."""
    return (
        {name: column.to(module.device) for name, column in table[rows].items()}
        for rows in table.in_order(size)
    )


def trained(module: Module) -> list[Tensor]:
    """Return the parameters that training changes."""
    return [weight for weight in module.parameters() if weight.requires_grad]


def gradient(module: Module, batches: Iterable[Mapping[str, Tensor]]) -> list[Tensor]:
    """Return the gradient of the summed reverse cross entropy by each trained parameter."""
    total = [torch.zeros_like(weight) for weight in trained(module)]
    for batch in batches:
        value = reverse_ce(module(batch), batch["target"]).sum()
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
    """Return (rows,): the product of each row's cross-entropy gradient with `direction`.

    Computed from the row's loss before and after a small step: one more pass instead of a gradient
    for each row. The length of the step is that of Liu et al. 2019, "DARTS".
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
    """Return the cross entropy of each row, in the order of the rows."""
    found = torch.cat([cross_entropy(module(batch), batch["target"]) for batch in batches]).cpu()
    return found[torch.cat([batch["row"] for batch in batches]).cpu().argsort()]
