"""Predictions beside the texts they are of, and the mistakes a reader should see first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from japagen.config.task import Task
from japagen.gold.example import Example

SHOWN = 50  # mistakes on the page
LONGEST = 300  # characters of a text on the page

# id, gold, predicted (None for an answer that names no label) and, for labels, probability
Rows = Sequence[Mapping[str, Any]]


def markdown(rows: Rows, examples: Iterable[Example], task: Task) -> str:
    """Return a table of the most confident mistakes, of a regression the largest errors."""
    wrong = [row for row in with_texts(rows, examples, task) if error(row, task) > 0]
    wrong.sort(key=lambda row: -error(row, task))
    is_regression = task.kind == "regression"
    about = "largest errors" if is_regression else "most confident mistakes"
    head = ["gold", "predicted", *([] if is_regression else ["probability"]), *task.inputs]
    lines = [
        f"# {task.name}: {about}",
        "",
        f"{len(wrong)} of {len(rows)} predictions are wrong; the first {min(SHOWN, len(wrong))}:",
        "",
        "| " + " | ".join(map(cell, head)) + " |",
        "|" + "---|" * len(head),
    ]
    for row in wrong[:SHOWN]:
        shown = {**row, "probability": number(row.get("probability"))}
        lines.append("| " + " | ".join(cell(shown[key]) for key in head) + " |")
    return "\n".join(lines) + "\n"


def with_texts(rows: Rows, examples: Iterable[Example], task: Task) -> Iterator[dict[str, Any]]:
    """Yield the rows with the texts of the examples that have their ids."""
    texts = {example.id: example.texts for example in examples}
    for row in rows:
        yield {**row, **dict(zip(task.inputs, texts[row["id"]], strict=True))}


def error(row: Mapping[str, Any], task: Task) -> float:
    """Return how bad a prediction is; 0 for a right one."""
    gold, predicted = row["gold"], row["predicted"]
    if task.kind == "regression":
        return abs(float(predicted) - float(gold)) if predicted is not None else float("inf")
    # A mistake without a probability comes after those that have one.
    return 0.0 if predicted == gold else 1e-9 + float(row.get("probability") or 0.0)


def number(value: object) -> str:
    """Return a probability to two digits; "" where there is none."""
    return f"{value:.2f}" if isinstance(value, float) else ""


def cell(value: object) -> str:
    """Return a value as one cell of a Markdown table, without markup."""
    text = " ".join(str(value).split())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return re.sub(r"([\\`*_\[\]<>|#!$~])", r"\\\1", text)
