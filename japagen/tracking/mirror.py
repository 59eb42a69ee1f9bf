"""Loggers beside MLflow: they get a copy of every call of a run."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from japagen.config.error import UserError
from japagen.tracking.attempt import reason
from japagen.tracking.entry import Entry
from japagen.tracking.job import Job
from japagen.tracking.tensorboard import TensorBoard
from japagen.tracking.wandb import WandB

log = logging.getLogger("japagen.tracking")

KEY = 12  # hexadecimal digits


class Sink(Protocol):
    """A logger as a run uses it. Names and texts have no secrets."""

    def words(self, values: Mapping[str, str | float]) -> None:
        """Record settings and tags."""
        ...

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Record metrics; step 0 for those that form no curve."""
        ...

    def file(self, path: Path, folder: str) -> None:
        """Record a copy of a file."""
        ...

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        ...

    def where(self) -> str:
        """The command or address that shows the run."""
        ...


SINKS: dict[str, Callable[[Job, str], Sink]] = {"tensorboard": TensorBoard, "wandb": WandB}
ADVICE = {"wandb": ". Log in with `wandb login`, or set WANDB_MODE=offline", "tensorboard": ""}


class Mirror:
    """A logger whose failure is one warning and never the end of a job."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name, self.sink = name, sink
        self.failed = False

    def take(self, entry: Entry) -> None:
        """Pass a call on, unless an earlier one failed."""
        if self.failed:
            return
        try:
            pass_on(self.sink, entry)
        except Exception as error:  # each logger has its own errors
            self.failed = True
            log.warning("%s failed; the job continues without it: %s", self.name, reason(error))

    def where(self) -> str:
        """The command or address that shows the run."""
        return self.sink.where()


def begin(job: Job, made: str) -> list[Mirror]:
    """The job's further loggers, opened; UserError with what to type if one cannot be opened.

    `made`: the key of what the job makes, "" if it has none.
    """
    for name in job.others:
        check_package(name)
    return [Mirror(name, opened(name, job, key(job, made))) for name in job.others]


def check_package(name: str) -> None:
    """Raise UserError if the logger's package is missing."""
    # Not find_spec: it takes a folder of runs named `wandb` for the package.
    try:
        version(name)
    except PackageNotFoundError:
        raise UserError(
            f"the logger {name} needs the package {name}, which is not installed: "
            f'pip install "japagen[{name}]"'
        ) from None


def opened(name: str, job: Job, identifier: str) -> Sink:
    """The logger `name` with a new run, or with the earlier one of the same job."""
    try:
        return SINKS[name](job, identifier)
    except Exception as error:  # each logger has its own errors
        raise UserError(f"the logger {name} cannot begin: {reason(error)}{ADVICE[name]}") from error


def key(job: Job, made: str) -> str:
    """The id of the job's run: the same command, resumed or repeated, continues its run."""
    options = {name: value for name, value in job.options.items() if name != "rerun"}
    text = json.dumps([job.stage, made, options], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY]


def pass_on(sink: Sink, entry: Entry) -> None:
    """Make the call of MLflow that `entry` describes on another logger."""
    if entry["do"] == "batch":
        if params := entry.get("params"):
            sink.words({name: typed(text) for name, text in params})
        tags = {name: text for name, text in entry.get("tags", ()) if name[:7] != "mlflow."}
        if tags:
            sink.words(tags)
        for step, values in by_step(entry).items():
            sink.numbers(values, step)
    elif entry["do"] == "dataset":
        name, digest = entry["dataset"][:2]
        sink.words({f"dataset/{name}": f"{entry['context']} {digest}"})
    elif entry["do"] == "file":
        sink.file(Path(entry["path"]), entry["folder"])
    elif entry["do"] == "end":
        sink.close(entry["status"])


def by_step(entry: Entry) -> dict[int, dict[str, float]]:
    """The metrics of a batch, by step."""
    found: dict[int, dict[str, float]] = {}
    for name, value, _, step in entry.get("metrics", ()):
        found.setdefault(step, {})[name] = value
    return found


def typed(text: str) -> str | float:
    """A setting as a number if it is one, so that charts can use it as an axis."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float)) and math.isfinite(value) else text
