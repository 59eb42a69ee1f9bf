"""Write checkpoints during training, and resume a killed training as if it had never stopped."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from japagen.student.batch import Buckets

log = logging.getLogger(__name__)


def best(folder: Path) -> ModelCheckpoint:
    """Return the callback that keeps the weights of the best validation in `folder`/best.ckpt."""
    return ModelCheckpoint(
        folder,
        filename="best",
        monitor="choice",
        mode="max",
        save_weights_only=True,
        enable_version_counter=False,
    )


class Resume(Checkpoint):
    """Writes `path` every `steps` optimizer steps, and after epochs of at least a fifth of that.

    The file is written completely or not at all and holds the state of torch's random generators.
    Lightning calls a Checkpoint after the other callbacks, so what they decided in the same step
    is in it.
    """

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps, self.last = path, steps, 0
        self.state: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the random state of the checkpoint, and skip the batches that were used."""
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
        """Save after some steps, but not at an epoch's end, which saves after its validation.

        Nor within an accumulated step: global_step does not change there.
        """
        if trainer.global_step >= self.last + self.steps and not trainer.is_last_batch:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the validation of an epoch, but not of every short one.

        A checkpoint is three times as large as the student.
        """
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
        """Add the random state and the place in the epoch to the checkpoint."""
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
        """Keep the random state until training begins: what comes before draws numbers, too."""
        self.state = checkpoint.get("japagen", {})


def buckets(trainer: Trainer) -> Buckets:
    """Return the sampler of the training batches."""
    loader: Any = trainer.train_dataloader
    return cast(Buckets, loader.sampler)


def usable(path: Path) -> Path | None:
    """Return `path` if a killed training left a checkpoint there from which to resume, else None.

    A damaged file is deleted with a warning, and so is one whose best.ckpt is gone: the training
    then starts again from the beginning.
    """
    if not path.exists():
        return None
    try:
        check(path)
    except Exception as error:  # torch, zipfile and pickle each have their own for a damaged file
        log.warning(
            "%s cannot be used (%s: %s): it is deleted, and the training starts from the beginning",
            *(path, type(error).__name__, str(error).split("\n")[0]),
        )
        path.unlink()
        return None
    log.info("resuming from the checkpoint of a training that was stopped: %s", path)
    return path


def check(path: Path) -> None:
    """Raise an error if a checkpoint cannot be read, lacks a part, or its best.ckpt is unusable."""
    found = torch.load(path, map_location="cpu", weights_only=True)
    absent = {"state_dict", "loops", "callbacks", "optimizer_states", "japagen"} - found.keys()
    if absent:
        raise ValueError(f"it has no {', '.join(sorted(absent))}")
    for name, state in found["callbacks"].items():
        if name.startswith(ModelCheckpoint.__name__) and state["best_model_path"]:
            torch.load(state["best_model_path"], map_location="cpu", weights_only=True)
