"""OUTPUT.parts: the finished chunks of a job, and how far it is. It survives a kill at any moment.

A file gets its name only when it is complete and on the disk. job.json counts the finished parts
and is replaced after each part, so a part that it does not count is written again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.prediction.chunk import Chunk

STATE, LOCK, JOINED, NEW = "job.json", "lock", "joined", ".tmp"
SHOWN = 10  # bad rows


@dataclass
class State:
    """How far a job is.

    `job`: its identity. `layout`: the fields of chunk.Layout. `parts`: finished ones, `rows`:
    their rows, `position`: where the input continues. `bad`: number of bad rows, `first`: (row,
    reason) of the first ones. `joined`: size and time of the whole output, once it is written.
    """

    job: dict[str, Any]
    layout: dict[str, Any]
    parts: int = 0
    rows: int = 0
    position: int = 0
    bad: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)
    joined: list[int] | None = None

    def count(self, chunk: Chunk) -> None:
        """Add a finished chunk."""
        for number, error in enumerate(chunk.errors, self.rows + 1):
            if error:
                self.bad += 1
                if len(self.first) < SHOWN:
                    self.first.append((number, error))
        self.parts += 1
        self.rows += len(chunk.errors)
        self.position = chunk.position


class Parts:
    """The folder OUTPUT.parts of `output`. Only files that this class writes are removed."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.parent / f"{output.name}.parts"  # also for "/", which is refused later

    def path(self, number: int) -> Path:
        """Return the file of the part `number`, from 0."""
        return self.folder / f"part-{number:06d}"

    def load(self) -> State | None:
        """Return the state of an unfinished job, None if there is none.

        Raises UserError if the folder has no job.json and other files.
        """
        try:
            found = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
            return State(**{**found, "first": [(row, text) for row, text in found["first"]]})
        except FileNotFoundError:
            self.check_empty()
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{self.folder / STATE} cannot be read: {error}. Move {self.folder} away, or name "
                "another --output"
            ) from error

    def check_empty(self) -> None:
        """Raise UserError if there is a folder of this name that this command did not make."""
        if not os.path.lexists(self.folder):
            return
        try:
            others = sorted({*os.listdir(self.folder)} - {LOCK, STATE + NEW})  # noqa: PTH208
        except OSError as error:
            others = [str(error.strerror)]
        if others:
            raise UserError(
                f"{self.folder} is needed for the parts of the output, but was not made by this "
                f"command ({others[0]}). Rename it, or name another --output"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and hold its lock. Raises UserError if another process has it."""
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError(
                f"another process is writing {self.output}. Wait until it ends, or name another "
                "--output"
            ) from error
        try:
            yield
        finally:
            if not (self.folder / STATE).exists():  # nothing to continue
                self.clear()
            lock.release()

    def save(self, state: State) -> None:
        """Replace job.json."""
        text = json.dumps(asdict(state), ensure_ascii=False, indent=1)
        self.write(self.folder / STATE, lambda path: path.write_text(text, encoding="utf-8"))

    def write(self, path: Path, make: Callable[[Path], object]) -> None:
        """Let `make` write a file under another name, and rename it when it is on the disk."""
        new = path.with_name(path.name + NEW)
        make(new)
        to_disk(new)
        new.replace(path)

    def finish(self, state: State, make: Callable[[Path], object]) -> None:
        """Let `make` join the parts, and give the whole its name."""
        joined = self.folder / JOINED
        self.write(joined, make)
        state.joined = stamp(joined)
        self.save(state)
        joined.replace(self.output)

    def check_whole(self, state: State) -> None:
        """Raise UserError if a finished part is absent."""
        for number in range(state.parts):
            if not self.path(number).exists():
                raise UserError(
                    f"{self.path(number)} is missing. Delete {self.folder} and repeat the command "
                    "to start again"
                )

    def is_finished(self, state: State) -> bool:
        """Return whether the output is there, whole, and only parts are left to remove."""
        return state.joined is not None and stamp(self.output) == state.joined

    def clear(self, parts: int = 0) -> None:
        """Remove the files of a finished job, job.json last, and the folder if it is empty."""
        names = [self.path(number).name for number in range(parts)]
        extra = [self.path(parts).name, JOINED]
        extra = [*extra, *(name + NEW for name in [*extra, STATE])]
        for name in [*names, *extra, STATE, LOCK]:
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()
        with suppress(OSError):  # a file of somebody else stays, and the folder with it
            self.folder.rmdir()


def stamp(path: Path) -> list[int] | None:
    """Return the size and time of a file, None if it is absent."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_size, found.st_mtime_ns]


def to_disk(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
