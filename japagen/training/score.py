"""Predictions on the test rows and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from japagen.config.schema import Trainer
from japagen.config.task import Task
from japagen.gold import metric
from japagen.training.trainer import interruptible

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer

    from japagen.training.data import DataModule
    from japagen.training.module import Module
    from japagen.training.split import Parts

# A row of predictions.jsonl: id, gold, predicted and, for labels, probability.
Rows = Sequence[Mapping[str, Any]]


def prefix(trainer: Trainer, parts: Parts) -> str:
    """Return the first part of the names of test metrics; "test" is all gold test rows."""
    if trainer.options.get("fast_dev_run"):
        return "debug"
    if parts.no_gold:
        return "heldout"
    return "partial" if parts.partial else "test"


def score_keys(objective: str, task: Task) -> list[str]:
    """Return the metrics that may be the score of a job, the first one that exists counts."""
    if objective == "valid":
        return ["valid/best"]
    return [f"{part}/{task.metric}" for part in ("test", "partial", "heldout", "debug")]


def predictions(
    trainer: LightningTrainer, module: Module, table: DataModule
) -> list[dict[str, Any]]:
    """Return one row for each test row, in its order, by the best checkpoint."""
    best: str | None = getattr(trainer.checkpoint_callback, "best_model_path", "") or None
    with interruptible():
        outputs = trainer.predict(module, datamodule=table, ckpt_path=best) or []
    found: dict[int, dict[str, Any]] = {}
    for rows, logits in outputs:
        found.update(zip(rows.tolist(), module.read(logits), strict=True))
    test = table.parts.test
    return [{"id": test[row].id, "gold": test[row].label, **found[row]} for row in sorted(found)]


def measure(task: Task, name: str, rows: Rows) -> dict[str, float]:
    """Return the metrics of the test rows under the prefix `name`.

    `score` is the task's own metric and is there only if the rows are gold test rows.
    """
    gold = [row["gold"] for row in rows]
    found = metric.scores(task, gold, [str(row["predicted"]) for row in rows])
    measured = {f"{name}/{key}": value for key, value in found.items()}
    if task.kind == "classification":
        is_part = name in ("heldout", "partial")
        majority = f"{name}/majority_accuracy" if is_part else "majority/accuracy"
        measured[majority] = metric.majority(gold)
    # Rounded, because MLflow's tables show all digits.
    return measured if name != "test" else {**measured, "score": round(found[task.metric], 4)}
