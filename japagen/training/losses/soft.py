"""Cross entropy with soft labels: the probabilities that an LLM gave to the labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from japagen.training.losses import RowLoss
from japagen.training.losses.cross_entropy import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor

    from japagen.dataset.identity import Dataset
    from japagen.training.sources import Source, TrainingRow


@dataclass
class Soft(RowLoss):
    """Cross entropy with the label probabilities in soft.jsonl of the synthetic dataset."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each row; `targets` are probabilities in training."""
        return cross_entropy(logits, targets)

    def problems(self, data: Source) -> Iterator[str]:
        """Gold rows have no probabilities."""
        if "synthetic" not in data.sources:
            yield (
                f"loss=soft is for the labels of an LLM; data={data.name} has none: "
                f"use data=synthetic or data=mixed"
            )

    def extra(self, rows: Sequence[TrainingRow], dataset: Dataset) -> dict[str, Tensor]:
        """Return the probabilities of each row."""
        from japagen.training import soft_labels

        return {"probabilities": soft_labels.probabilities(rows, dataset)}
