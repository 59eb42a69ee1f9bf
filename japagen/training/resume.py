"""The checkpoint from which a killed training goes on as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from japagen.student.batch import Buckets


class Resume(Checkpoint):
    """Writes `path` every `steps` optimizer steps and after epochs of a fifth of that, whole or not at all, with torch's dice.

    Lightning calls a Checkpoint after the other callbacks, so what they decided in the same step is in it.
    """

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps, self.last = path, steps, 0
        self.state: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Throw the dice on from where the checkpoint was written, and skip the batches that this epoch already had."""
        self.last = trainer.global_step
        if self.state:
            torch.set_rng_state(self.state["cpu"])
            if torch.cuda.is_available() and self.state["cuda"]:
                torch.cuda.set_rng_state_all(self.state["cuda"])
            buckets(trainer).skip = self.state["given"]
            self.state = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After some steps, but not in the middle of an accumulated one, nor at an epoch's end, which has its own."""
        if trainer.global_step >= self.last + self.steps and not trainer.is_last_batch:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the validation of the epoch; not of every short one, for a checkpoint is three times as large as the student."""
        if trainer.global_step >= self.last + self.steps / 5:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write the checkpoint; all processes take part, the first one writes."""
        if getattr(trainer, "fast_dev_run", False):
            return
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            part.replace(self.path)
        self.last = trainer.global_step

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the state of the dice and the place in the epoch into the checkpoint."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        sampler = buckets(trainer)
        checkpoint["japagen"] = {
            "cpu": torch.get_rng_state(),
            "cuda": cuda,
            "given": sampler.given % len(sampler),
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember the state until training begins: what comes in between throws dice, too."""
        self.state = checkpoint.get("japagen", {})


def buckets(trainer: Trainer) -> Buckets:
    """The sampler of the training batches."""
    loader: Any = trainer.train_dataloader
    return cast(Buckets, loader.sampler)
