"""Hydra's callback: a sweep continues after a failed job, and reports all jobs at its end."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import sys
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

from japagen import stop as stopping
from japagen.config import schema as schemas
from japagen.config.credential import as_arguments, credential_problems
from japagen.config.error import UserError
from japagen.config.secret import hidden, remember_all
from japagen.gold.fetch import GoldMissing
from japagen.job import sweep
from japagen.job.console import plain_console, printable, shown
from japagen.job.typed import typed
from japagen.tracking import address, parent
from japagen.tracking.alive import own_tags

if TYPE_CHECKING:
    from filelock import FileLock

log = logging.getLogger(__name__)

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
HEAD = ("job", "options", "ended", "score", "seconds")
STYLES = {
    "no gold": "yellow",
    "done": "green",
    "done before": "green",
    "failed": "bold red",
    "stopped": "bold red",
}


class Sweep(Callback):
    """The hooks of one command. A single job is only checked for secrets in its YAMLs."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.lock: FileLock | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the lock: a launcher sends the callback to other processes."""
        return {**self.__dict__, "lock": None}

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse secrets before Hydra writes the config of a single job to files."""
        refuse_secrets(config)
        make_folder("hydra.run.dir", config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Create the sweep's state folder, and finish it however the process ends."""
        refuse_secrets(config)
        make_folder("hydra.sweep.dir", config.hydra.sweep.dir)
        leave_out(config)
        stopping.politely()
        try:
            self.folder, self.lock = sweep.begin(config, own_tags())
        except UserError as error:
            stop(str(error))  # Hydra only prints a warning for other exceptions
        recorded = OmegaConf.select(config, "logger.name") == "mlflow"
        self.uri = address(str(config.mlflow_uri)) if recorded else ""
        self.began = time.time()
        atexit.register(self.finish)

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **_: Any) -> None:
        """Note that a job runs, possibly in another process than the sweep's."""
        if config.hydra.mode == RunMode.MULTIRUN:
            words = typed(config.hydra.overrides.task)
            sweep.note(
                num=config.hydra.job.num, overrides=words, status="running", began=time.time()
            )

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Note how a job ended, and continue the sweep after a failure, which is logged."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        failed = job_return.status == JobStatus.FAILED
        value = job_return._return_value
        # Without a task's gold, its cells in a table of all tasks stay empty; that is no failure.
        lacking = isinstance(value, GoldMissing)
        sweep.note(
            ended=time.time(), status="no gold" if lacking else "failed" if failed else "done"
        )
        if failed:
            sweep.note(error=cause(value, config, 600 if lacking else 200))
            # Hydra would end the sweep at the first failure, without a table. Sweepers that search
            # for the best options need to see the failure.
            if config.hydra.sweeper._target_ == BASIC:
                job_return.status, job_return.return_value = JobStatus.COMPLETED, None
        elif isinstance(value, Real):
            sweep.note(score=float(value))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the table; the exit code is 1 if a job failed."""
        try:
            bad = self.finish(complete=True)
        except Exception:  # Hydra would print a warning and exit with 0
            log.exception("the end of the sweep failed")
            bad = 1
        if bad:
            raise SystemExit(1)

    def finish(self, complete: bool = False) -> int:
        """Once: end the sweep's runs in MLflow and print the table; the number of jobs not done.

        `complete`: all jobs were started. A stop between two jobs leaves no trace in the jobs.
        """
        atexit.unregister(self.finish)
        if self.folder is None:
            return 0
        folder, self.folder = self.folder, None
        jobs = sweep.jobs(folder)
        counts = Counter(state(job) for job in jobs)
        bad = counts["failed"] + counts["stopped"]
        if self.uri:
            numbers = {"jobs": len(jobs), "jobs_failed": bad}
            status = "FAILED" if bad else "FINISHED" if complete else "KILLED"
            parent.close(folder, self.uri, status, numbers, jobs_table(jobs))
        if self.lock is not None:
            self.lock.release()
        if jobs:
            show(jobs, counts, time.time() - self.began, folder)
        return bad


def refuse_secrets(config: DictConfig) -> None:
    """End the program if a secret stands in the composed config, e.g. in a YAML of --config-dir."""
    plain = OmegaConf.to_container(config, resolve=False)
    if lines := list(credential_problems(as_arguments(plain))):
        stop("\n".join(dict.fromkeys(lines)))


def make_folder(option: str, name: object) -> None:
    """Create the folder of logs; end the program with one message if that is impossible."""
    try:
        Path(str(name)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = shown(f"{option}={name} cannot be created: {error.strerror}")
        stop(f"{what}. Free space, fix permissions, or name another folder: {option}=FOLDER")


def stop(message: str) -> None:
    """End the program with one message."""
    print(message, file=sys.stderr)
    raise SystemExit(1)


def cause(error: object, config: DictConfig, longest: int) -> str:
    """The first line of an error that says something, at most `longest`, without secrets."""
    options = OmegaConf.to_container(config, resolve=False)
    remember_all(options if isinstance(options, dict) else {})  # type: ignore[arg-type]
    lines = hidden(error).split("\n")
    first = lines[1] if len(lines) > 1 and lines[0].endswith(" in the configuration:") else lines[0]
    return first.removeprefix("  - ")[:longest]


def leave_out(config: DictConfig) -> None:
    """Drop options of an experiment's sweep that only other commands have: one YAML serves all."""
    params = OmegaConf.select(config, "hydra.sweeper.params")
    known = {item.name for schema in schemas.NAMES for item in dataclasses.fields(schema)}
    # An option may have the name of another command's group: evaluate.py has student.path and no
    # choice of students.
    groups = {path.name for path in schemas.CONF.iterdir() if path.is_dir()} - set(
        config.hydra.runtime.choices
    )
    with flag_override(config, ["readonly", "struct"], False):
        for key in list(params or ()):
            name = key.partition(".")[0]
            if name in known and (name not in config or name in groups):
                del params[key]


def state(job: Mapping[str, Any]) -> str:
    """How a job ended, in a word; a job without an end was stopped with its process."""
    if job["status"] == "done" and job.get("before"):
        return "done before"
    return "stopped" if job["status"] == "running" else str(job["status"])


def cells(jobs: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Number, options, how it ended, score and seconds of each job.

    Options that all jobs have are left out.
    """
    shared = set[str]()
    if len(jobs) > 1:
        shared = set(jobs[0]["overrides"]).intersection(*(job["overrides"] for job in jobs))
    made = list[tuple[str, ...]]()
    for job in jobs:
        score = f"{job['score']:.4f}" if "score" in job else ""
        words = " ".join(hidden(word) for word in job["overrides"] if word not in shared)
        # Why gold is missing is said once, below the table.
        error = f": {job['error']}" if "error" in job and job["status"] != "no gold" else ""
        took = f"{job['ended'] - job['began']:.1f}" if "ended" in job else ""
        made.append((str(job["num"]), words, state(job) + error, score, took))
    return made


def jobs_table(jobs: Sequence[Mapping[str, Any]]) -> str:
    """The same as a Markdown table, for the run of the sweep."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in cells(jobs):
        shown = (" ".join(text.replace("|", "\\|").split()) for text in row)
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def show(
    jobs: Sequence[Mapping[str, Any]], counts: Mapping[str, int], seconds: float, folder: Path
) -> None:
    """One line for each job: its options, how it ended, its score and its seconds."""
    from rich.table import Table

    table = Table(*HEAD)
    for job, row in zip(jobs, cells(jobs), strict=True):
        table.add_row(*map(shown, row), style=STYLES.get(state(job)))
    printable()
    console = plain_console(soft_wrap=not counts["failed"])
    console.print(table)
    lacking = [str(job.get("error", "")) for job in jobs if job["status"] == "no gold"]
    for reason in filter(None, dict.fromkeys(lacking)):
        console.print(shown(reason))
    ended = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
    console.print(f"{len(jobs)} jobs in {seconds:.0f} s: {ended}. Logs: {folder.parent}")
