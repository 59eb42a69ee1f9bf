"""Save a trained student: its weights, tokenizer, predictions and card (japagen.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen import tracking
from japagen.config.task import Task
from japagen.files import as_usual
from japagen.student.card import CARD
from japagen.training.folder import NEW, OLD
from japagen.training.identity import Training
from japagen.training.model_card import README
from japagen.training.score import Rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from japagen.training.module import Module

EXAMPLE = "公園で子どもたちが遊んでいます。"  # the example of an input in MLflow's model
PREDICTIONS = "predictions.jsonl"


def write(
    folder: Path,
    module: Module,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    card: Mapping[str, Any],
    readme: str,
) -> None:
    """Write a student into `folder`: what transformers opens, predictions.jsonl, and its cards.

    `card`: japagen.json, `readme`: README.md.
    """
    module.finished().save_pretrained(folder)
    for path in folder.glob("*.safetensors"):
        as_usual(path)
    (folder / README).write_text(readme, encoding="utf-8")
    tokenizer.save_pretrained(folder)
    (folder / CARD).write_text(
        json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / PREDICTIONS).write_text("".join(lines), encoding="utf-8")


def publish(part: Path, folder: Path) -> Path:
    """Move the student from `part` to `folder`, in place of an older one; return `folder`."""
    if folder.exists():
        folder.rename(part / OLD)
    (part / NEW).rename(folder)
    return folder


def describe(folder: Path, task: Task) -> None:
    """Make the student's folder an MLflow model, too."""
    text, number = ("predicted", "string"), ("predicted", "double")
    labels = [text, ("probability", "double")]
    columns = [number] if task.kind == "regression" else labels
    tracking.describe(folder, dict.fromkeys(task.inputs, EXAMPLE), columns)


def card(training: Training, method: str) -> dict[str, Any]:
    """Return the content of japagen.json: what the student is for, and how it was made.

    `method`: the name of its row in tables of results.
    """
    task = {
        key: getattr(training.task, key) for key in ("name", "kind", "inputs", "metric", "labels")
    }
    return {
        "task": task,
        "student": asdict(training.student),
        "data": asdict(training.data),
        "seed": training.seed,
        "source": origin(training),
        "method": method,
    }


def origin(training: Training) -> dict[str, str | int]:
    """Return what made the synthetic rows; nothing for gold alone."""
    if not training.synthetic:
        return {}
    dataset = training.dataset
    return {
        "llm": dataset.llm.name,
        "prompt": dataset.prompt.name,
        "filter": dataset.filter.name,
        "shots": dataset.shots,
        "num_per_label": dataset.num_per_label,
        "fingerprint": dataset.fingerprint,
    }
