"""What was measured of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from japagen.quality.data import Data
from japagen.quality.doubt import Doubts
from japagen.quality.telling import Telling

Points = Sequence[tuple[float, float]]


@dataclass
class Measured:
    """The figures of a dataset and what the page shows beside them.

    `metrics`: by name; those that begin with gold_ are of gold rows. `notes`: what was not
    measured, and what to type. `reasons`: place of a row -> why it is suspicious. `lengths`,
    `overlaps`, `map`: name of a series -> values or points.
    """

    data: Data
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reasons: dict[int, list[str]] = field(default_factory=dict)
    telling: dict[str, list[Telling]] = field(default_factory=dict)
    doubts: Doubts = field(default_factory=Doubts)
    doubted_by: str = ""
    lengths: dict[str, list[int]] = field(default_factory=dict)
    overlaps: dict[str, list[float]] = field(default_factory=dict)
    map: Mapping[str, Points] = field(default_factory=dict)

    def suspect(self, place: int, reason: str) -> None:
        """Add a reason why the row at `place` is suspicious."""
        self.reasons.setdefault(place, []).append(reason)
