"""Synthetic rows and gold rows, together or one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from japagen.config.error import Unusable, did_you_mean
from japagen.config.limit import limited
from japagen.training.sources import Origin, Rows, Source, gold, synthetic

ORDERS = ("together", "synthetic_first")


@dataclass
class Mixed(Source):
    """Rows of both sources.

    `shots`: gold rows of each label; null for all. `gold_weight`: how much a gold row counts, a
    synthetic one counts 1. `order`: together, or synthetic_first, where the first `synthetic_share`
    of the steps use synthetic rows and the other steps gold rows.
    """

    sources: ClassVar[tuple[str, ...]] = ("synthetic", "gold")
    shots: int | None = limited(None, least=1)
    gold_weight: float = limited(1.0, above=0)
    order: str = "together"
    synthetic_share: float = limited(0.5, above=0, below=1)

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise Unusable(
                f"data.order is '{self.order}'; allowed: {', '.join(ORDERS)}"
                f"{did_you_mean(self.order, ORDERS)}"
            )
        if self.gold_weight != 1 and self.order != "together":
            raise Unusable(
                "data.gold_weight is for data.order=together, where a batch has rows of both "
                "sources: leave out one of them"
            )

    def rows(self, origin: Origin) -> Rows:
        """Return the rows of both sources."""
        return {"synthetic": synthetic.read(origin), "gold": gold.read(origin, self.shots)}

    def gold_shots(self) -> int | None:
        """Return the number of gold rows of each label, or None for all."""
        return self.shots

    def gold_after(self) -> float | None:
        """Return the share of the steps with synthetic rows, if gold rows come last."""
        return self.synthetic_share if self.order == "synthetic_first" else None

    def weight(self, source: str) -> float:
        """Return the weight of a row."""
        return self.gold_weight if source == "gold" else 1.0
