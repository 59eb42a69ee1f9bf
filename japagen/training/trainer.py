"""How long a student trains, at what precision, which checkpoint of it stays, and how a killed training goes on."""

from __future__ import annotations

import importlib
import logging
import math
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.schema import TrainConfig, Trainer
from japagen.training.workplace import RESUME

log = logging.getLogger(__name__)

# Advice against what is meant here: small tables in memory, and no logger of Lightning's.
CHATTER = (
    r".*does not have many workers",
    r".*smaller than the logging interval",
    r".*isinstance\(treespec, LeafSpec\)",
    # Resuming is ours: resume.py goes on in the middle of an epoch, in a folder that is not empty.
    r"You're resuming from a checkpoint that ended before",
    r"Checkpoint directory .* exists and is not empty",
)

if TYPE_CHECKING:
    from lightning.pytorch import Callback
    from lightning.pytorch import Trainer as LightningTrainer


def length(trainer: Trainer, steps: int) -> tuple[int, int]:
    """(epochs, epochs from one validation to the next), for `steps` in an epoch: max_epochs validations at most."""
    limit = max(1, round(trainer.max_steps / steps)) if trainer.max_steps else trainer.max_epochs
    epochs = max(min(trainer.max_epochs, limit), math.ceil(trainer.min_steps / steps))
    every = math.ceil(epochs / trainer.max_epochs)
    return every * math.ceil(epochs / every), every


def make_trainer(trainer: Trainer, steps: int, part: Path, few: bool = False) -> LightningTrainer:
    """Lightning's trainer for `steps` in an epoch; the best checkpoint and the one to go on from lie in `part`.

    With `few` (few_rows.applies) the last weights stay, and training does not stop early.
    """
    from lightning.pytorch import Trainer as LightningTrainer

    from japagen.training.few_rows import FittedHead
    from japagen.training.resume import Resume

    epochs, every = length(
        trainer, math.ceil(steps / int(trainer.options.get("accumulate_grad_batches", 1)))
    )
    callbacks: list[Callback] = [FittedHead()] if few else selection(trainer, part)
    callbacks.append(Resume(part / RESUME, trainer.save_steps))
    ours: dict[str, Any] = {
        "max_epochs": epochs,
        "check_val_every_n_epoch": every,
        "callbacks": callbacks,
        "logger": False,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        # Drawn again at every step, which is a file of its own where the output is one.
        "enable_progress_bar": sys.stdout.isatty(),
        # Our sampler shares the rows of a batch out among processes, so that a batch is the same whatever their number.
        "use_distributed_sampler": False,
    }
    return LightningTrainer(**{**ours, **trainer.options, "precision": precision(trainer.options)})


def selection(trainer: Trainer, part: Path) -> list[Callback]:
    """Keep the checkpoint with the best score on the valid rows, and stop early without a better one."""
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

    best = ModelCheckpoint(
        part,
        filename="best",
        monitor="choice",
        mode="max",
        save_weights_only=True,
        enable_version_counter=False,
    )
    if not trainer.patience:
        return [best]
    stop = EarlyStopping(
        "choice", mode="max", patience=trainer.patience, check_on_train_epoch_end=False
    )
    return [best, stop]


@contextmanager
def memory(config: TrainConfig, batch_size: int) -> Iterator[None]:
    """One message for memory that is used up, on whatever device."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if (
            isinstance(error, RuntimeError)
            and "out of memory" not in str(error)
            and "allocate memory" not in str(error)
        ):
            raise
        half = max(1, batch_size // 2)
        raise UserError(
            f"Out of memory with batches of {batch_size} rows of up to student.max_length={config.student.max_length} "
            f"tokens: add data.batch_size={half} +trainer.options.accumulate_grad_batches=2 (the same training in smaller pieces), "
            "or lower student.max_length."
        ) from error


def patient(config: TrainConfig) -> Trainer:
    """The trainer's options; without early stop where it could come before the gold rows do."""
    return (
        replace(config.trainer, patience=0)
        if config.data.order == "synthetic_first"
        else config.trainer
    )


def precision(options: Mapping[str, Any]) -> Any:
    """`auto`: bf16-mixed where the device multiplies bfloat16 matrices faster than 32-bit ones, else 32-true."""
    import torch

    wanted, accelerator = options.get("precision", "auto"), options.get("accelerator", "auto")
    if wanted != "auto":
        return wanted
    if accelerator != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator not in ("cpu", "auto") or (
        accelerator == "auto" and torch.backends.mps.is_available()
    ):
        fast = False
    else:
        # oneDNN says yes to every AVX-512 machine, and is slower than 32 bits on those without these instructions.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16-mixed" if fast else "32-true"


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl+C ends the job as an interrupt: Lightning makes it an ordinary exit, and deaf to a second one."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from stop
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advertisements and advice of Lightning and transformers; their errors are still seen."""
    from transformers.utils import logging as bars

    importlib.import_module("lightning.pytorch")  # it sets the levels of its loggers
    progress: Any = bars
    progress.disable_progress_bar()
    for name, level in (
        ("lightning.pytorch", logging.WARNING),
        ("lightning.fabric", logging.WARNING),
        ("transformers", logging.ERROR),
    ):
        logging.getLogger(name).setLevel(level)
    with warnings.catch_warnings():
        for message in CHATTER:
            warnings.filterwarnings("ignore", message=message)
        yield
