"""Gold rows: all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from japagen.gold import load
from japagen.gold.example import Example
from japagen.training.sources import Origin, Rows, Source


@dataclass
class Gold(Source):
    """All gold training rows."""

    sources: ClassVar[tuple[str, ...]] = ("gold",)

    def rows(self, origin: Origin) -> Rows:
        """Return the gold training rows."""
        return {"gold": read(origin)}


def read(origin: Origin, shots: int | None = None) -> list[Example]:
    """Return the gold training rows, or `shots` of each label: those a few-shot prompt shows."""
    rows = load.load(origin.task, "train", origin.gold_dir)
    if shots is None:
        return rows
    drawn = load.draw_shots(rows, origin.task, shots, origin.seed, option="data.shots")
    return [row for of_label in drawn.values() for row in of_label]
