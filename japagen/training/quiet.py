"""Hide advice of Lightning and transformers that does not apply here."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Advice against what is meant here: small tables in memory, and no logger of Lightning's.
CHATTER = (
    r".*does not have many workers",
    r".*smaller than the logging interval",
    r".*isinstance\(treespec, LeafSpec\)",
    # checkpoint.py resumes in the middle of an epoch, in a folder that is not empty.
    r"You're resuming from a checkpoint that ended before",
    r"Checkpoint directory .* exists and is not empty",
    # process.py trains alone if the options say so, also in a Slurm job.
    r"The `srun` command is available on your system but is not used",
)
LEVELS = {
    "lightning.pytorch": logging.WARNING,
    "lightning.fabric": logging.WARNING,
    "transformers": logging.ERROR,
}


@contextmanager
def quiet() -> Iterator[None]:
    """Hide adverts and advice; errors are still shown. Restores log levels and progress bars."""
    from transformers.utils import logging as bars

    importlib.import_module("lightning.pytorch")  # importing it sets the levels of its loggers
    progress: Any = bars
    loggers = {name: logging.getLogger(name) for name in LEVELS}
    before = {name: logger.level for name, logger in loggers.items()}
    shown = progress.is_progress_bar_enabled()
    try:
        progress.disable_progress_bar()
        for name, level in LEVELS.items():
            loggers[name].setLevel(level)
        with warnings.catch_warnings():
            for message in CHATTER:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for name, level in before.items():
            loggers[name].setLevel(level)
        if shown:
            progress.enable_progress_bar()
