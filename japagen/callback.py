"""Hydra's hooks around a sweep: failed jobs stop no other; a table and an exit code at the end."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override

from japagen.config import schema as schemas
from japagen.config.secret import hidden, remember_all
from japagen.gold.fetch import GoldMissing
from japagen.job import sweep
from japagen.tracking import address, parent, printable
from japagen.tracking.alive import own_tags

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger(__name__)

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
LONGEST = 200  # characters of an error
STYLES = {
    "no gold": "yellow",
    "done": "green",
    "done before": "green",
    "failed": "bold red",
    "stopped": "bold red",
}


class Sweep(Callback):
    """The hooks of one sweep; they do nothing for a single job."""

    def __init__(self) -> None:
        self.folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Begin the sweep's records, and make sure that they are ended in any case."""
        leave_out(config)
        self.folder, self.began = sweep.begin(config, own_tags()), time.time()
        recorded = OmegaConf.select(config, "logger.name") != "none"
        self.uri = address(str(config.mlflow_uri)) if recorded else ""
        atexit.register(self.finish)

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **_: Any) -> None:
        """Record that a job runs; its process may be another one."""
        if config.hydra.mode == RunMode.MULTIRUN:
            overrides = [str(override) for override in config.hydra.overrides.task]
            sweep.note(
                num=config.hydra.job.num, overrides=overrides, status="running", began=time.time()
            )

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Record how a job ended. The sweep continues after a failure, which is already logged."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        failed = job_return.status == JobStatus.FAILED
        value = job_return._return_value
        # A table over all tasks has cells that need gold which is not here. They are no failure.
        without_gold = isinstance(value, GoldMissing)
        status = "no gold" if without_gold else "failed" if failed else "done"
        sweep.note(ended=time.time(), status=status)
        if failed:
            sweep.note(error=first_line(value, config))
            # Hydra would end the sweep with the first failure. Sweepers that search must know it.
            if config.hydra.sweeper._target_ == BASIC:
                job_return.status, job_return.return_value = JobStatus.COMPLETED, None
        elif isinstance(value, Real):
            sweep.note(score=float(value))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the table; the exit code is 1 if a job failed."""
        if self.finish():
            raise SystemExit(1)

    def finish(self) -> int:
        """End the sweep's runs in MLflow and print the table; the number of jobs not done."""
        atexit.unregister(self.finish)
        if self.folder is None:
            return 0
        folder, self.folder = self.folder, None
        jobs = sweep.jobs(folder)
        counts = Counter(state(job) for job in jobs)
        bad = counts["failed"] + counts["stopped"]
        try:
            if self.uri:
                numbers = {"jobs": len(jobs), "jobs_failed": bad}
                parent.close(folder, self.uri, "FAILED" if bad else "FINISHED", numbers)
            if jobs:
                show(jobs, counts, time.time() - self.began, folder)
        except Exception:
            # Hydra swallows errors of hooks, and the exit code of failed jobs with them.
            log.exception("the sweep's table could not be printed")
        return bad


def first_line(error: object, config: DictConfig) -> str:
    """The first line of an error, without the secrets of `config`."""
    options = OmegaConf.to_container(config, resolve=False)
    remember_all(options if isinstance(options, dict) else {})  # type: ignore[arg-type]
    lines = hidden(error).splitlines()
    return lines[0][:LONGEST] if lines else type(error).__name__


def leave_out(config: DictConfig) -> None:
    """Drop the options of an experiment's sweep that only another command has.

    One YAML serves all commands. A command may have an option with the name of another's group:
    evaluate.py has student.path, and no choice of students.
    """
    params = OmegaConf.select(config, "hydra.sweeper.params")
    known = {item.name for schema in schemas.NAMES for item in dataclasses.fields(schema)}
    folders = {path.name for path in schemas.CONF.iterdir() if path.is_dir()}
    groups = folders - set(config.hydra.runtime.choices)
    with flag_override(config, ["readonly", "struct"], False):
        for key in list(params or ()):
            name = key.partition(".")[0]
            if name in known and (name not in config or name in groups):
                del params[key]


def state(job: Mapping[str, Any]) -> str:
    """How a job ended; one without an end was stopped with its process."""
    if job["status"] == "done" and job.get("before"):
        return "done before"
    return "stopped" if job["status"] == "running" else str(job["status"])


def show(
    jobs: Sequence[Mapping[str, Any]], counts: Mapping[str, int], seconds: float, folder: Path
) -> None:
    """Print a line for each job: options, end, score and seconds."""
    from rich.console import Console

    console = Console(soft_wrap=not counts["failed"], highlight=False, markup=False, emoji=False)
    found = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
    last = f"{len(jobs)} jobs in {seconds:.0f} s: {found}. Logs: {folder.parent}"
    try:
        console.print(table(jobs))
        console.print(last)
    except UnicodeEncodeError:
        # The console's encoding lacks a character of an option or an error.
        encoding = console.encoding or "ascii"
        with console.capture() as captured:
            console.print(table(jobs))
        text = f"{captured.get()}{last}".encode(encoding, "backslashreplace")
        print(text.decode(encoding))


def table(jobs: Sequence[Mapping[str, Any]]) -> Table:
    """The table of a sweep. Nothing in it is read as markup of the console."""
    from rich.table import Table
    from rich.text import Text

    made = Table("job", "options", "ended", "score", "seconds")
    every = [set(job["overrides"]) for job in jobs]
    shared = every[0].intersection(*every[1:]) if len(every) > 1 else set()
    for job in jobs:
        score = f"{job['score']:.4f}" if "score" in job else ""
        options = " ".join(hidden(word) for word in job["overrides"] if word not in shared)
        error = f": {job['error']}" if "error" in job else ""
        seconds = f"{job['ended'] - job['began']:.1f}" if "ended" in job else ""
        cells = (str(job["num"]), options, state(job) + error, score, seconds)
        made.add_row(*(Text(printable(cell)) for cell in cells), style=STYLES.get(state(job)))
    return made
