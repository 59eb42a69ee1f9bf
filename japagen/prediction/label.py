"""The columns that a student adds to the rows of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from japagen.config.task import Task
from japagen.prediction.chunk import Chunk
from japagen.student.predictor import Predictor, answers, softmax

NOT_FINITE = "the student's output is not a number"


def added(task: Task, probabilities: bool) -> dict[str, str]:
    """Return the Arrow types of the columns that the output adds, by name."""
    if task.kind == "regression":
        return {"predicted": "double", "error": "string"}
    shares = [f"p({label})" for label in task.labels] if probabilities else []
    return {
        "predicted": "string",
        "probability": "double",
        **dict.fromkeys(shares, "double"),
        "error": "string",
    }


def label(
    predictor: Predictor, chunk: Chunk, columns: Mapping[str, str], batch_size: int
) -> list[dict[str, Any]]:
    """Return for each row the values of `columns`; a row that fails gets its error in `chunk`."""
    import numpy as np

    places = [place for place, error in enumerate(chunk.errors) if not error]
    logits = predictor.logits([chunk.texts[place] for place in places], batch_size)
    right = np.isfinite(logits).all(-1)
    for number in np.flatnonzero(~right).tolist():
        chunk.errors[places[number]] = NOT_FINITE
    found = iter(values(logits[right], predictor.task, columns))
    empty = dict.fromkeys(columns)
    return [
        {**empty, "error": error} if error else {**empty, **next(found), "error": ""}
        for error in chunk.errors
    ]


def values(logits: Any, task: Task, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what each row of logits says."""
    found = answers(logits, task)
    names = [f"p({label})" for label in task.labels]
    if columns.keys() >= set(names) and task.kind != "regression":
        for one, shares in zip(found, softmax(logits).round(6).tolist(), strict=True):
            one.update(zip(names, (round(share, 6) for share in shares), strict=True))
    return found
