"""The journal of a dataset: every reply, one flushed JSON line each, safe against crashes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.files import LINE
from japagen.gold.example import Example
from japagen.job import sweep

if TYPE_CHECKING:
    from filelock import BaseFileLock

log = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"
DECODE = json.JSONDecoder().raw_decode


def shots_head(shots: Mapping[str, Sequence[Example]]) -> dict[str, Any]:
    """Return what a journal and a manifest say about the shots.

    Their ids, and a digest of their texts, which changes if the gold file is edited.
    """
    rows = [[label, *shot.texts] for label, drawn in shots.items() for shot in drawn]
    digest = (
        hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:16]
        if rows
        else ""
    )
    return {
        "shots": {label: [shot.id for shot in drawn] for label, drawn in shots.items()},
        "shots_digest": digest,
    }


def locked(path: Path) -> BaseFileLock:
    """Return the lock of the journal `path`, held. UserError if another process has it.

    A job of a sweep waits instead.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if sweep.state_folder() is None:
            other = f"Another process is writing {path.parent}."
            raise UserError(f"{other} Wait for it, or stop it and repeat the command.") from None
        log.info("another process is writing %s; waiting for it", path.parent)
        lock.acquire()
    return lock


class Journal:
    """Every reply of one dataset in the order of arrival, one flushed JSON line each.

    The first line names the dataset: a journal of other options is never continued. A torn last
    line is dropped. Only one process may hold the journal; a job of a sweep waits for it.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path, self.head = path, dict(head)
        self.file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = locked(self.path)
        try:
            self.cut_torn_line()
            self.file = self.path.open("ab")
            if self.path.stat().st_size == 0:
                self.write(self.head)
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.file is not None:
            self.file.close()
        self.lock.release()

    def cut_torn_line(self) -> None:
        """Cut off a last line that was not written whole."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            size = end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 65536)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    end = start + found + 1
                    break
                end = start
            if end < size:
                file.truncate(end)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the entries so far, which begin on line 2.

        UserError for a journal of other options, or a damaged one.
        """
        with self.path.open("rb") as file:
            for row, line in enumerate(file, 1):
                try:
                    # As json.loads, which takes longer.
                    text = line.decode().lstrip()
                    entry, end = DECODE(text)
                    if text[end:].strip():
                        raise ValueError(f"something is behind its end: {text[end : end + 60]}")
                    if type(entry) is not dict:
                        raise ValueError(f"it is {text[:60].rstrip()}; allowed: an object")
                except (ValueError, RecursionError) as error:
                    raise self.damaged(row, error) from error
                if row > 1:
                    yield entry
                elif entry != self.head:
                    raise self.other(entry)

    def damaged(self, row: int, error: Exception) -> UserError:
        """Return the error for a line that is not what this version writes."""
        what = f"{self.path}, line {row} is damaged ({error})."
        if row > 1:
            return UserError(f"{what} Delete the line to continue without that reply.")
        return UserError(f"{what} Write this line instead: {LINE.encode(self.head)}")

    def other(self, entry: Mapping[str, Any]) -> UserError:
        """Return the error for a journal whose first line is `entry`."""
        keys = {**entry, **self.head}
        differing = [key for key in keys if entry.get(key) != self.head.get(key)]
        advice = f"Delete the folder {self.path.parent} to start again."
        return UserError(f"{self.path} was begun with other {', '.join(differing)}. {advice}")

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line and hand it to the operating system at once."""
        if self.file is None:
            raise RuntimeError("the journal is not open")
        # A lone surrogate in a raw reply has no UTF-8; as \ud83d it is JSON and reads the same.
        self.file.write(LINE.encode(entry).encode("utf-8", "backslashreplace") + b"\n")
        self.file.flush()
