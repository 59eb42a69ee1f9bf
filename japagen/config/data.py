"""Options of the data group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from omegaconf import MISSING

from japagen.config.choice import ORDERS, SOURCES
from japagen.config.error import did_you_mean
from japagen.config.limit import limited


@dataclass
class Data:
    """Rows to train on. `valid`: the share of the rows that is used to choose the checkpoint.

    `num_per_label`: at most this many rows of each label and source, drawn by seed; null for all.
    `fraction`: train on this share of the rows of each label. A smaller share is a subset of a
    larger one, and the validation rows are the same for all.
    `shots`: gold rows of each label, drawn as few-shot prompts draw them; null for all gold rows.
    `near_duplicate`: remove training rows that are at least this similar to a gold test row
    (0 to 1); 0 removes only rows with the same text.
    For data=mixed: `gold_weight` is the weight of a gold row relative to a synthetic row. `order`
    is together, or synthetic_first: the first `synthetic_share` of the steps use synthetic rows
    and the rest gold rows.
    """

    name: str = MISSING
    batch_size: int = limited(32, least=1)
    valid: float = limited(0.1, above=0, below=1)
    num_per_label: int | None = limited(None, least=2)
    fraction: float = limited(1.0, above=0, most=1)
    shots: int | None = limited(None, least=1)
    near_duplicate: float = limited(0.9, least=0, most=1)
    gold_weight: float = limited(1.0, above=0)
    order: str = "together"
    synthetic_share: float = limited(0.5, above=0, below=1)

    def problems(self) -> Iterator[str]:
        """An unknown source of rows, or options that it does not have."""
        if self.name not in SOURCES:
            yield (
                f"data is '{self.name}'; allowed: {', '.join(SOURCES)}"
                f"{did_you_mean(self.name, SOURCES)}"
            )
        if self.shots is None and self.name == "few_gold":
            yield (
                "data=few_gold needs the number of gold rows of each label: add data.shots=16, "
                "or use data=gold for all rows"
            )
        elif self.shots is not None and self.name in ("synthetic", "gold"):
            yield (
                f"data.shots is for data=few_gold and data=mixed, not data={self.name}; "
                "the shots in the prompts are the option `shots`"
            )
        yield from self.mixture_problems()

    def mixture_problems(self) -> Iterator[str]:
        """`order` and `gold_weight` belong to data=mixed and exclude each other."""
        if self.order not in ORDERS:
            yield (
                f"data.order is '{self.order}'; allowed: {', '.join(ORDERS)}"
                f"{did_you_mean(self.order, ORDERS)}"
            )
        elif self.order != "together" and self.name != "mixed":
            yield f"data.order={self.order} is for data=mixed, not data={self.name}"
        if self.gold_weight != 1 and (self.name != "mixed" or self.order != "together"):
            yield (
                "data.gold_weight is for data=mixed data.order=together, where a batch has rows "
                "of both sources"
            )
