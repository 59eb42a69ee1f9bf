"""How long a student trains, at what precision, and which checkpoint of it stays."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config import Trainer

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer


def length(trainer: Trainer, steps: int) -> tuple[int, int]:
    """(epochs, epochs from one validation to the next), for `steps` in an epoch: max_epochs validations at most."""
    limit = max(1, round(trainer.max_steps / steps)) if trainer.max_steps else trainer.max_epochs
    epochs = max(min(trainer.max_epochs, limit), math.ceil(trainer.min_steps / steps))
    every = math.ceil(epochs / trainer.max_epochs)
    return every * math.ceil(epochs / every), every


def make_trainer(trainer: Trainer, steps: int, part: Path) -> LightningTrainer:
    """Lightning's trainer for `steps` in an epoch; the best checkpoint goes into `part`."""
    from lightning.pytorch import Callback
    from lightning.pytorch import Trainer as LightningTrainer
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

    epochs, every = length(trainer, steps)
    callbacks: list[Callback] = [ModelCheckpoint(part, monitor="choice", mode="max", save_weights_only=True)]
    if trainer.patience:
        callbacks.append(EarlyStopping("choice", mode="max", patience=trainer.patience, check_on_train_epoch_end=False))
    ours: dict[str, Any] = {
        "max_epochs": epochs,
        "check_val_every_n_epoch": every,
        "callbacks": callbacks,
        "logger": False,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        # Drawn again at every step, which is a file of its own where the output is one.
        "enable_progress_bar": sys.stdout.isatty(),
        # The sampler gives whole batches, which Lightning would otherwise try to share out row by row.
        "use_distributed_sampler": False,
    }
    return LightningTrainer(**{**ours, **trainer.options, "precision": precision(trainer.options)})


def precision(options: Mapping[str, Any]) -> Any:
    """`auto`: bf16-mixed where the device multiplies bfloat16 matrices faster than 32-bit ones, else 32-true."""
    import torch

    wanted, accelerator = options.get("precision", "auto"), options.get("accelerator", "auto")
    if wanted != "auto":
        return wanted
    if accelerator != "cpu" and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator not in ("cpu", "auto") or (accelerator == "auto" and torch.backends.mps.is_available()):
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
