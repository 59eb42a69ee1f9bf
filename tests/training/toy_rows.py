"""Rows with numbered texts for tests of splits and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from japagen.gold.example import Example
from japagen.training.identity import Training

Make = Callable[..., Training]
Pools = dict[str, list[Example]]

BOTH = {"acceptable": 40, "unacceptable": 40}


def rows(labels: dict[str, int], texts: int = 1) -> list[Example]:
    return [
        Example(f"{label}-{n}", (f"{label}の文{n}",) * texts, label)
        for label, count in labels.items()
        for n in range(count)
    ]


def named(name: str, labels: dict[str, int]) -> list[Example]:
    """rows(labels) with other ids and texts."""
    return [
        Example(f"{name}-{row.id}", (f"{name}の{row.texts[0]}",), row.label) for row in rows(labels)
    ]


def ids(rows: Iterable[Example]) -> set[str]:
    return {row.id for row in rows}
