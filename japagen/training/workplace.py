"""The folder in which one student is trained, kept when the process is killed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.config.error import UserError

log = logging.getLogger(__name__)

RESUME = "resume.ckpt"
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
    from filelock import FileLock


@contextmanager
def workplace(folder: Path, name: str) -> Iterator[Path]:
    """A folder for what one training writes, kept where the job is killed, with the checkpoint to go on from; else removed.

    Beside the finished students, so that the last step is a rename. Raises UserError where another process trains the same.
    """
    from filelock import FileLock, Timeout

    part = folder / f".part-{name}"
    part.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".part-{name}.lock")
    try:
        if chief():
            lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"Another process is training the same student ({folder / name}); wait for it, or stop it."
        ) from None
    try:
        yield part
    except BaseException as error:
        # What the user must mend would only happen again; anything else, a full disk too, must not cost the hours before it.
        if isinstance(error, UserError) or not (part / RESUME).exists():
            remove(part, lock)
        lock.release()
        raise
    remove(part, lock)


def resumed(part: Path) -> Path | None:
    """The checkpoint that a killed training left in `part`, or None."""
    if not (part / RESUME).exists():
        return None
    log.info("going on from the checkpoint of a training that was stopped: %s", part / RESUME)
    return part / RESUME


def remove(part: Path, lock: FileLock) -> None:
    """Leave nothing of a training that ended."""
    if chief():
        shutil.rmtree(part, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def chief() -> bool:
    """Whether this process is the only one or the first of those that train one student together."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0
