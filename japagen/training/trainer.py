"""Lightning's Trainer: how long a student trains, at what precision, with which callbacks."""

from __future__ import annotations

import inspect
import math
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import OutOfMemory, UserError, did_you_mean
from japagen.config.schema import Trainer
from japagen.training import process
from japagen.training.folder import RESUME

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer


def length(trainer: Trainer, steps: int) -> tuple[int, int]:
    """Return (epochs, epochs between validations), for `steps` steps in an epoch.

    There are at most trainer.max_epochs validations.
    """
    limit = max(1, round(trainer.max_steps / steps)) if trainer.max_steps else trainer.max_epochs
    epochs = max(min(trainer.max_epochs, limit), math.ceil(trainer.min_steps / steps))
    every = math.ceil(epochs / trainer.max_epochs)
    return every * math.ceil(epochs / every), every


def make_trainer(
    trainer: Trainer, batches: int, part: Path, gold_last: bool = False, few: bool = False
) -> LightningTrainer:
    """Return Lightning's trainer for `batches` batches in an epoch; its checkpoints go to `part`.

    `gold_last`: whether gold rows are trained on after the synthetic ones. `few`: whether the head
    is fitted first and the last weights are kept instead of the best (few_rows.applies).
    """
    from japagen.training import checkpoint, early_stopping, few_rows

    steps = math.ceil(batches / trainer.options.get("accumulate_grad_batches", 1))
    epochs, every = length(trainer, steps)
    ours: dict[str, Any] = {
        "max_epochs": epochs,
        "check_val_every_n_epoch": every,
        "callbacks": [
            few_rows.FittedHead() if few else checkpoint.best(part),
            checkpoint.Resume(part / RESUME, trainer.save_steps),
            *early_stopping.callbacks(trainer.patience, gold_last),
        ],
        "logger": False,
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        # A bar is drawn again in each step, and each drawing is a line of its own in a file.
        "enable_progress_bar": sys.stdout.isatty(),
        # Our sampler gives each process its part of a batch, so that batches are the same for any
        # number of processes.
        "use_distributed_sampler": False,
        **process.plugins(trainer.options),
    }
    return built({**ours, **trainer.options, "precision": precision(trainer.options)}, trainer)


def built(values: Mapping[str, Any], trainer: Trainer) -> LightningTrainer:
    """Return Lightning's trainer of these options. Raises UserError if it refuses them."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch import Trainer as LightningTrainer

    try:
        return LightningTrainer(**values)
    except (TypeError, ValueError, MisconfigurationException) as error:
        given = {key: value for key, value in trainer.options.items() if key != "precision"}
        raise UserError(
            f"lightning.Trainer refuses trainer.options ({given}, "
            f"precision={values['precision']}): {error}"
        ) from error


def check_options(options: Mapping[str, Any]) -> None:
    """Raise UserError for an option that lightning.Trainer does not have, or a wrong number."""
    from lightning.pytorch import Trainer as LightningTrainer

    known = list(inspect.signature(LightningTrainer.__init__).parameters)[1:]
    for name in options:
        if name not in known:
            raise UserError(
                f"trainer.options.{name} is not an option of lightning.Trainer"
                f"{did_you_mean(name, known)}; allowed: {', '.join(known)}"
            )
    if "limit_predict_batches" in options:
        raise UserError(
            "trainer.options.limit_predict_batches would score a part of the test rows as if they "
            "were all; use data.test_limit=NUMBER"
        )
    for name in ("accumulate_grad_batches", "num_nodes"):
        number = options.get(name, 1)
        if type(number) is not int or number < 1:
            raise UserError(f"trainer.options.{name} is {number}; allowed: a whole number from 1")


@contextmanager
def memory(max_length: int, batch_size: int) -> Iterator[None]:
    """Raise OutOfMemory with advice if memory is used up, on any device."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        known = ("out of memory", "allocate memory")
        plain = isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError)
        if plain and not any(text in str(error) for text in known):
            raise
        half = max(1, batch_size // 2)
        raise OutOfMemory(
            f"Out of memory with batches of {batch_size} rows of up to "
            f"student.max_length={max_length} tokens: add data.batch_size={half} "
            f"+trainer.options.accumulate_grad_batches=2 (the same training in smaller pieces), "
            f"or lower student.max_length."
        ) from error


def precision(options: Mapping[str, Any]) -> Any:
    """Return the precision; `auto` is bf16-mixed if the device is faster with it, else 32-true."""
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
        # oneDNN accepts bfloat16 on every AVX-512 machine, but is slower with it than with 32 bits
        # on those without these instructions.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        fast = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return "bf16-mixed" if fast else "32-true"


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl+C end the job as KeyboardInterrupt.

    Lightning turns it into an ordinary exit and ignores a second one.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from stop
        raise
