"""A student's predictions on the test rows, and their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from japagen.config.schema import TrainConfig
from japagen.gold import metric
from japagen.training.trainer import interruptible

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer

    from japagen.training.data import DataModule, Parts
    from japagen.training.module import Module

# What a file of predictions has in a line: id, gold, predicted and, for labels, probability.
Rows = Sequence[Mapping[str, Any]]


def prefix(config: TrainConfig, parts: Parts) -> str:
    """What the test metrics are called: `test` is all of gold and nothing else."""
    if config.trainer.options.get("fast_dev_run"):
        return "debug"
    return "heldout" if parts.no_gold else "test"


def predictions(
    trainer: LightningTrainer, module: Module, table: DataModule
) -> list[dict[str, Any]]:
    """One row for each test row, in its order, by the best checkpoint: id, gold, predicted, for labels a probability."""
    best: str | None = getattr(trainer.checkpoint_callback, "best_model_path", "") or None
    with interruptible():
        outputs = trainer.predict(module, datamodule=table, ckpt_path=best) or []
    found: dict[int, dict[str, Any]] = {}
    for rows, logits in outputs:
        found.update(zip(rows.tolist(), module.read(logits), strict=True))
    test = table.parts.test
    return [{"id": test[row].id, "gold": test[row].label, **found[row]} for row in sorted(found)]


def measure(config: TrainConfig, parts: Parts, rows: Rows) -> dict[str, float]:
    """The metrics of the test rows; `score` is the task's own, on gold."""
    gold = [row["gold"] for row in rows]
    found = metric.scores(config.task, gold, [str(row["predicted"]) for row in rows])
    measured = {f"{prefix(config, parts)}/{name}": value for name, value in found.items()}
    if config.task.kind == "classification":
        measured["heldout/majority_accuracy" if parts.no_gold else "majority/accuracy"] = (
            metric.majority(gold)
        )
    return (
        measured
        if prefix(config, parts) != "test"
        else {**measured, "score": found[config.task.metric]}
    )
