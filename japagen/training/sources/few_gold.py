"""A few gold rows of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from japagen.config.limit import limited
from japagen.training.sources import Origin, Rows, Source, gold


@dataclass
class FewGold(Source):
    """`shots` gold rows of each label."""

    sources: ClassVar[tuple[str, ...]] = ("gold",)
    shots: int = limited(16, least=1)

    def rows(self, origin: Origin) -> Rows:
        """Return the gold rows that a prompt with as many shots shows."""
        return {"gold": gold.read(origin, self.shots)}

    def gold_shots(self) -> int | None:
        """Return the number of rows of each label."""
        return self.shots
