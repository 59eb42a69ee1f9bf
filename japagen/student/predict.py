"""What logits say."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from japagen.config.task import Task


def read(logits: Tensor, task: Task) -> list[dict[str, Any]]:
    """Return the prediction of each row: `predicted` and, for labels, `probability`.

    `logits`: (rows, labels), or (rows, 1) with scores on the task's scale.
    """
    if task.kind == "regression":
        return [{"predicted": value} for value in logits.squeeze(-1).tolist()]
    best, number = logits.softmax(-1).max(-1)
    pairs = zip(best.tolist(), number.tolist(), strict=True)
    return [
        {"predicted": task.labels[label], "probability": round(share, 6)} for share, label in pairs
    ]
