"""The folder of a training in progress: locked, kept if the process is killed, else removed."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.config.error import OutOfMemory, UserError

log = logging.getLogger(__name__)

RESUME = "resume.ckpt"  # the checkpoint to resume from
NEW, OLD = "student", "old"  # a student being saved, and the one it replaces

if TYPE_CHECKING:
    from filelock import FileLock


@contextmanager
def in_progress(folder: Path, name: str, first: bool) -> Iterator[Path]:
    """Yield a folder for the files of one training; kept with its checkpoint if the job is killed.

    It lies beside the finished students, so that the last step is a rename. `first`: whether this
    process is the one that saves. Raises UserError if another process trains the same student.
    """
    from filelock import FileLock, Timeout

    part = folder / f".part-{name}"
    part.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".part-{name}.lock")
    try:
        if first:
            lock.acquire(timeout=0)
            clean(part, folder / name)
    except Timeout:
        raise UserError(
            f"Another process is training the same student ({folder / name}): wait for it, or stop "
            f"it. To train one student in several processes type trainer=ddp"
        ) from None
    try:
        yield part
    except BaseException as error:
        # A user error would only happen again. Anything else, a full disk or memory that another
        # process used, must not cost the hours of training before it.
        again = isinstance(error, UserError) and not isinstance(error, OutOfMemory)
        try:
            if first:
                clean(part, folder / name)  # it may have been interrupted between two renames
            if again or not (part / RESUME).exists():
                remove(part, lock, first)
        except OSError:
            log.warning("cannot remove %s, which the next training of this student does", part)
        finally:
            lock.release()
        raise
    remove(part, lock, first)


def clean(part: Path, student: Path) -> None:
    """Undo what a process left that was killed while it saved a student or removed the folder."""
    if (part / OLD).exists() and not student.exists():
        (part / OLD).rename(student)
    leftovers = [part / NEW, part / OLD]
    if not (part / RESUME).exists():
        leftovers += part.iterdir()
    for path in leftovers:
        delete(path)


def delete(path: Path) -> None:
    """Delete a file or a folder; nothing if it is absent."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove(part: Path, lock: FileLock, first: bool) -> None:
    """Remove the folder of a training that ended."""
    if first:
        # First the checkpoint: with it, and without the files it refers to, a process killed here
        # would make the next training resume from the end and fail.
        (part / RESUME).unlink(missing_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
