"""A baseline for pairs with levels: the cosine of an encoder's vectors, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.gold.example import Example


def check(task: Task) -> None:
    """Raise UserError if the task is not a similarity of two texts."""
    if task.kind != "regression" or len(task.inputs) != 2:
        raise UserError(
            f"subject=encoder is for pairs with numbers as labels, such as task=jsts; task "
            f"{task.name} is a {task.kind} of {len(task.inputs)} text(s): use subject=prompting"
        )


def predictions(task: Task, rows: Sequence[Example]) -> list[dict[str, Any]]:
    """Return id, gold and predicted of each row: the cosine, scaled to the task's levels.

    0 is the lowest level, 1 the highest; correlations do not depend on this scale.
    """
    from japagen.student import vectors

    first, second = vectors.of([row.texts for row in rows]).swapaxes(0, 1)
    cosines = (first * second).sum(-1)
    levels = sorted(map(float, task.labels))
    low, width = levels[0], levels[-1] - levels[0]
    return [
        {"id": row.id, "gold": row.label, "predicted": low + width * float(cosine)}
        for row, cosine in zip(rows, cosines, strict=True)
    ]
