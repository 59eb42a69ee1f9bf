"""Sources of training rows, one file each, named like the YAML in conf/data that names the class.

Others use Source, Origin and TrainingRow; docs/add_a_data_source.md says how to add a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from japagen.config.schema import Data
from japagen.config.task import Task
from japagen.dataset.identity import Dataset
from japagen.gold.example import Example

Rows = dict[str, list[Example]]  # source -> its rows


@dataclass(frozen=True, slots=True)
class TrainingRow(Example):
    """An example to train or validate on; `source` is "synthetic" or "gold"."""

    source: str


@dataclass(frozen=True)
class Origin:
    """Where rows may come from: the synthetic dataset that the options name, and gold data.

    `seed`: of what is drawn at random. `gold_dir`: folder of gold data, or None for the default.
    """

    task: Task
    dataset: Dataset
    gold_dir: str | None
    seed: int


@dataclass
class Source(Data):
    """Where training rows come from. Fields are its options, written as `data.NAME=VALUE`.

    `sources`: which of "synthetic" and "gold" its rows can have as their source.
    """

    sources: ClassVar[tuple[str, ...]]

    def rows(self, origin: Origin) -> Rows:
        """Return all rows a student may be trained on, by source; UserError if there are none."""
        raise NotImplementedError

    def describe(self, dataset: Dataset) -> str:
        """Return where the rows come from, for people."""
        places = {"synthetic": str(dataset.folder), "gold": self.gold_words()}
        return " and ".join(places[source] for source in self.sources)

    def gold_words(self) -> str:
        """Return how many gold rows are used, for people."""
        shots = self.gold_shots()
        return f"{shots} gold rows of each label" if shots else "gold"

    def gold_shots(self) -> int | None:
        """Return the number of gold rows of each label, or None for all."""
        return None

    def gold_after(self) -> float | None:
        """Return the share of the steps after which only gold rows are used; None: mix them."""
        return None

    def weight(self, source: str) -> float:
        """Return how much a row of `source` counts."""
        return 1.0
