"""Calls that MLflow did not take: kept in files and sent later, each run once.

mlflow-unsent/KEY.jsonl has a header and one call a line, KEY/NUMBER/NAME copies of files, and
KEY.refused.jsonl what MLflow refuses for good. KEY is the run's uuid4 in hexadecimal.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from japagen.config.secret import hidden
from japagen.tracking import parent
from japagen.tracking.alive import has_ended
from japagen.tracking.attempt import within
from japagen.tracking.connect import connect
from japagen.tracking.entry import Entry, deliver, problem, seconds, summary

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("japagen.tracking")

FOLDER = "mlflow-unsent"
HIDDEN = "***"


class Damaged(ValueError):
    """A file that was not written by a run, or changed since."""


class Unsent:
    """The calls of one run that MLflow did not take; no file is created before the first."""

    def __init__(self, created: Mapping[str, Any]) -> None:
        # The address may hold a password. `sync` then asks for it again.
        self.created = {**created, "uri": hidden(created["uri"])}
        self.path = Path(FOLDER).absolute() / f"{created['tags']['key']}.jsonl"
        self.number, self.failure = 0, ""
        self.waiting: list[Entry] = []  # not yet written, because the disk is full

    @property
    def begun(self) -> bool:
        """Whether anything was kept."""
        return self.path.exists()

    def write(self, entry: Entry, run: str) -> None:
        """Keep one call of the run `run`, "" if MLflow has none yet.

        A full disk does not end the job: the calls stay in memory and are written with the next.
        """
        self.number += 1
        try:
            self.waiting.append(self.copied(entry))
        except OSError as error:
            self.warn(error, [entry])
        self.flush(run)

    def flush(self, run: str) -> None:
        """Write the calls that wait; a warning the first time that it fails."""
        try:
            self.path.parent.mkdir(exist_ok=True)
            head = [] if self.begun and self.path.stat().st_size else [{**self.created, "run": run}]
            append(self.path, [*head, *self.waiting])
            self.waiting.clear()
        except OSError as error:
            self.warn(error, self.waiting)

    def warn(self, error: OSError, entries: Iterable[Entry]) -> None:
        """Say once that calls cannot be kept, and which."""
        if not self.failure:
            self.failure = f"{error.strerror or error}"
            log.warning(
                "cannot keep in %s what MLflow did not take (%s): %s. Free space before the job "
                "ends, or it is lost",
                self.path,
                self.failure,
                hidden("; ".join(map(summary, entries)))[:400],
            )

    def lost(self) -> str:
        """The calls that could be neither sent nor kept, with the values of metrics, or ""."""
        return hidden("; ".join(map(summary, self.waiting)))

    def copied(self, entry: Entry) -> Entry:
        """`entry` with a copy of its file, which may be gone when it is sent."""
        if entry["do"] != "file":
            return entry
        copy = Path(self.path.stem) / str(self.number) / Path(entry["path"]).name
        (self.path.parent / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry["path"], self.path.parent / copy)
        return {**entry, "path": copy.as_posix()}


def append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Add JSON lines to a file that only its owner may read; all of them, or none and OSError."""
    path.touch(mode=0o600)
    before = path.stat().st_size
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            for line in lines:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(path, before)  # half a line would hide those after it
        raise


def refused_file(path: Path) -> Path:
    """Where the calls of the run file `path` are kept that MLflow refuses for good."""
    return path.with_name(f"{path.stem}.refused.jsonl")


def keep_refused(path: Path, refused: Iterable[tuple[Entry, str]]) -> None:
    """Keep refused calls with MLflow's reason, and say so with the values of metrics."""
    for entry, why in refused:
        try:
            path.parent.mkdir(exist_ok=True)
            append(refused_file(path), [{**entry, "why": why}])
            where = f"kept in {refused_file(path)}"
        except OSError as error:
            where = f"and cannot be kept in {refused_file(path)}: {error.strerror}"
        log.warning(
            "MLflow refused %s (%s); %s", hidden(summary(entry))[:400], why.splitlines()[0], where
        )


def send(path: Path, uri: str = "", until: float = float("inf")) -> str:
    """Send all that one file keeps, then delete it; the run's id. It may be repeated at any time.

    `uri`: the store's address where the file has only a part of it; `until`: a moment of
    `time.monotonic()` after which TimeoutError is raised. What MLflow refuses for good is kept
    aside, and the run's tag `incomplete` says so.
    """
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():  # another process has sent it meanwhile
            return ""
        created, entries = read(path)
        uri = uri or created["uri"]
        if HIDDEN in uri:
            raise Damaged(f"the store's password is not kept in it: add --mlflow-uri for {uri}")
        client, run = within(uri, lambda: run_of(uri, created))
        for entry in entries:
            if time.monotonic() > until:
                raise TimeoutError("the end of the job waits no longer for MLflow")
            if refused := sent(client, uri, run, located(entry, path.parent)):
                keep_refused(path, refused)
                why = hidden(refused[0][1])[:400]
                within(uri, functools.partial(client.set_tag, run, "incomplete", why))
        if not entries or entries[-1]["do"] != "end":
            within(uri, lambda: client.set_terminated(run, "KILLED"))
        remove(path)
    path.with_suffix(".lock").unlink(missing_ok=True)
    return run


def sent(client: MlflowClient, uri: str, run: str, entry: Entry) -> list[tuple[Entry, str]]:
    """Make one call within its time limit; what is refused, with the reason."""
    return within(uri, lambda: deliver(client, run, entry), seconds(entry))


def located(entry: Entry, folder: Path) -> Entry:
    """`entry` with the whole path of its copy."""
    return {**entry, "path": str(folder / entry["path"])} if entry["do"] == "file" else entry


def remove(path: Path) -> None:
    """Delete a file of calls and its copies, unless refused calls still name them."""
    path.unlink()  # first, so that what is half deleted is never sent
    if not refused_file(path).exists():
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)


def run_of(uri: str, created: Mapping[str, Any]) -> tuple[MlflowClient, str]:
    """The store's client and the id of the run that a header names: known, found or new."""
    client, experiment = connect(uri, created["experiment"])
    return client, str(created["run"] or find_or_create(client, experiment, created))


def find_or_create(client: MlflowClient, experiment: str, created: Mapping[str, Any]) -> str:
    """The run with the key of `created`, or a new one."""
    wanted = f"tags.key = '{created['tags']['key']}'"
    for found in client.search_runs([experiment], wanted, max_results=1):
        return str(found.info.run_id)
    tags = {**created["tags"], **parent.late_tag(client, experiment, created["sweep"])}
    return str(client.create_run(experiment, created["time"], tags, created["name"]).info.run_id)


def read(path: Path) -> tuple[dict[str, Any], list[Entry]]:
    """The header and the calls of a file; Damaged if a run has not written it so.

    A last line that was not written whole is left out.
    """
    found = lines(path)
    if not found or (why := head_problem(found[0], path.stem)):
        raise Damaged(why if found else "it has no whole line")
    for number, entry in enumerate(found[1:], 2):
        if why := problem(entry, path.parent):
            raise Damaged(f"line {number}: {why}")
    return found[0], found[1:]


def head_problem(head: object, key: str) -> str:
    """Why `head` is not the first line of the file KEY.jsonl; "" if it is."""
    kinds = {"uri": str, "experiment": str, "name": str, "tags": dict, "time": int, "run": str}
    if not isinstance(head, dict) or any(type(head.get(one)) is not kinds[one] for one in kinds):
        return "line 1 is not the header of a run"
    sweep = head.get("sweep") or {}
    words = [*head["tags"].values(), *(sweep.values() if isinstance(sweep, dict) else [None])]
    if not all(isinstance(word, str) for word in words) or head["tags"].get("key") != key:
        return "line 1 is not the header of this run"
    named = {"digest", "experiment", "host", "name", "process"}
    return "" if not sweep or named <= sweep.keys() else "line 1 names no whole sweep"


def lines(path: Path) -> list[Any]:
    """The lines of a file as values, without a last one that was not written whole."""
    texts = path.read_text(encoding="utf-8", errors="replace").split("\n")
    found = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(json.loads(text))
        except (ValueError, RecursionError):
            if number < len(texts):
                raise Damaged(f"line {number} is damaged; correct or delete it") from None
    return found


def has_end(path: Path) -> bool:
    """Whether the run of a file has ended, as it says or because its process is gone."""
    try:
        head, entries = read(path)
    except (OSError, Damaged):
        return True  # so that `send` says what is wrong with it
    return bool(entries and entries[-1]["do"] == "end") or has_ended(head["tags"])
