"""Synthetic rows: the dataset that generate.py made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from japagen.config.error import UserError
from japagen.dataset import table
from japagen.gold import fetch
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.training.sources import Origin, Rows, Source


@dataclass
class Synthetic(Source):
    """All rows of the synthetic dataset."""

    sources: ClassVar[tuple[str, ...]] = ("synthetic",)

    def rows(self, origin: Origin) -> Rows:
        """Return the rows of the dataset."""
        return {"synthetic": read(origin)}


def read(origin: Origin) -> list[Example]:
    """Return the examples of the dataset.

    Raises UserError if it was not made yet, and GoldMissing if it cannot be made because there are
    no gold examples to show to the LLM.
    """
    try:
        return table.read(origin.dataset)
    except UserError as error:
        if origin.dataset.shots:
            try:
                fetch.locate(origin.task, "train", origin.gold_dir)
            except GoldMissing as missing:
                raise GoldMissing(
                    f"{error}\nwhich needs gold examples to show to the LLM: {missing}"
                ) from error
        raise
