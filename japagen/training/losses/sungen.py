"""Cross entropy with a learned weight for each row: the loss of SunGen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from japagen.config.limit import limited
from japagen.training.losses import RowLoss
from japagen.training.losses.cross_entropy import cross_entropy

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from torch import Tensor

    from japagen.dataset.identity import Dataset
    from japagen.training.sources import Source, TrainingRow


@dataclass
class SunGen(RowLoss):
    """Weighted cross entropy; training/sungen.py changes the weights after each epoch by `step`."""

    step: float = limited(0.1, above=0, most=1)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row, without its weight."""
        return cross_entropy(logits, targets)

    def problems(self, data: Source) -> Iterator[str]:
        """Row weights can have only one origin."""
        if data.weight("gold") != 1:
            yield "loss=sungen learns the weight of each row: leave out data.gold_weight"

    def extra(self, rows: Sequence[TrainingRow], dataset: Dataset) -> dict[str, Tensor]:
        """Return the first weight of each row."""
        import torch

        from japagen.training import sungen

        return {"weight": torch.full([len(rows)], sungen.START)}

    def callbacks(self) -> list[Callback]:
        """Return the step between epochs that changes the weights."""
        from japagen.training import sungen

        return [sungen.Reweight(self.step)]
