"""Predictions of a model for rows of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student.batch import Rows, chunks
from japagen.student.tokens import Tokens


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


@torch.inference_mode()
def predict(
    model: PreTrainedModel, tokens: Tokens, rows: Sequence[Example], task: Task, batch_size: int
) -> list[dict[str, Any]]:
    """Return the predictions of `rows` in their order, with `id` and `gold`; tokenizes first."""
    columns, _ = tokens.columns(rows)
    table, found = Rows(columns, [0.0] * len(rows), tokens.pads), dict[int, dict[str, Any]]()
    for places in chunks(sorted(range(len(rows)), key=table.lengths.__getitem__), batch_size):
        batch = {
            name: column.to(model.device)
            for name, column in table[places].items()
            if name in columns
        }
        found.update(zip(places, read(model(**batch).logits.float().cpu(), task), strict=True))
    return [{"id": row.id, "gold": row.label, **found[place]} for place, row in enumerate(rows)]
