"""Train a student on its rows and score it: from a pretrained model to test metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.job import sweep
from japagen.training import checkpoint, embedding, few_rows, score
from japagen.training.data import DataModule, targets
from japagen.training.folder import RESUME
from japagen.training.identity import Training
from japagen.training.module import Module
from japagen.training.split import Parts
from japagen.training.trainer import interruptible, make_trainer, memory
from japagen.training.weighting import label_weights

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer

    from japagen.student.pretrained import Pretrained
    from japagen.student.tokens import Tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """A trained student with its predictions on the test rows and all metrics of the job.

    `training`: as it was done; few rows change it.
    """

    training: Training
    module: Module
    rows: list[dict[str, Any]]
    measured: dict[str, float]


def fit(
    training: Training,
    parts: Parts,
    loaded: Pretrained,
    tokens: Tokens,
    part: Path,
    record: Callable[[Mapping[str, float], int], None],
) -> Fitted:
    """Train and score one student; checkpoints go to the folder `part`.

    `record` gets the metrics of each validation, and the step. Raises UserError if memory is used
    up, the loss is not a number, or tokens and model do not belong together.
    """
    few = few_rows.applies(len(parts.train), training.student, training.task)
    if few:
        training = few_rows.adapted(training)
    loader = DataModule(parts, training, tokens)
    module = make_module(training, loader, loaded, record)
    module.keeps_last = few
    with memory(training.student.max_length, loader.batch_size):
        gold_last = training.data.gold_after() is not None
        trainer = make_trainer(training.trainer, loader.steps(), part, gold_last, few)
        check_processes(trainer)
        began = time.perf_counter()
        with interruptible():
            trainer.fit(module, datamodule=loader, ckpt_path=checkpoint.usable(part / RESUME))
        seconds, began = time.perf_counter() - began, time.perf_counter()
        rows = score.predictions(trainer, module, loader)
        # In batches on this device, including the time to load the best checkpoint.
        each = 1000 * (time.perf_counter() - began) / max(1, len(rows))
    measured = {
        **score.measure(training.task, score.prefix(training.trainer, parts), rows),
        **parts.overlap,
        "train/rows": float(len(parts.train)),
        "train/seconds": seconds,
        "train/examples_per_second": module.speed(),
        "cost/seconds_per_1000": each,
        "valid/best": module.best[1],
    }
    return Fitted(training, module, rows, measured)


def make_module(
    training: Training,
    loader: DataModule,
    loaded: Pretrained,
    record: Callable[[Mapping[str, float], int], None],
) -> Module:
    """Return a new student, ready to be trained on the rows of `loader`."""
    task, rows = training.task, loader.parts.train
    weights = None
    if training.loss.class_weights:
        weights = label_weights(targets(rows, task), len(task.labels))

    def report(values: Mapping[str, float], step: int) -> None:
        record(values, step)
        shown = ", ".join(f"{key} {values[key]:.4f}" for key in sorted(values))
        log.info("step %d of %d: %s", step, module.trainer.estimated_stepping_batches, shown)

    model = loaded.fresh()
    if training.bi_encoder:
        from japagen.student import pair

        model = pair.wrap(model, loaded.tokenizer, training.student)
    embedding.check_ids(model, loader.vocabulary())
    if not training.trainer.compile:  # the compiler writes its own layers
        embedding.narrow(model, loader.vocabulary())
    module = Module(model, training, weights, report)
    if training.trainer.compile:
        # In place: names and type stay, so that the model is saved like any other.
        module.model.compile(dynamic=True)
    return module


def check_processes(trainer: LightningTrainer) -> None:
    """Raise UserError if a job of a sweep would start several processes."""
    if trainer.world_size > 1 and sweep.state_folder() is not None:
        raise UserError(
            "A sweep trains each student in one process: use trainer=auto, or type the commands "
            "one at a time for trainer=ddp."
        )
