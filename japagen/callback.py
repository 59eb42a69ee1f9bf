"""What Hydra calls around a sweep: its jobs go on past a failed one, and its end is one table and an exit code."""

from __future__ import annotations

import atexit
import dataclasses
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override

from japagen.config import schema as schemas
from japagen.gold.fetch import GoldMissing
from japagen.job import sweep
from japagen.tracking import parent
from japagen.tracking.alive import own_tags

BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
STYLES = {
    "no gold": "yellow",
    "done": "green",
    "done before": "green",
    "failed": "bold red",
    "stopped": "bold red",
}


class Sweep(Callback):
    """The hooks of one sweep; a single job passes through them untouched."""

    def __init__(self) -> None:
        self.folder: Path | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Open the sweep's books, and make sure that they are closed however it ends."""
        leave_out(config)
        self.folder, self.uri, self.began = (
            sweep.begin(config, own_tags()),
            str(config.mlflow_uri),
            time.time(),
        )
        atexit.register(self.finish)

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **_: Any) -> None:
        """Note in the books that a job runs; its process may be another one."""
        if config.hydra.mode == RunMode.MULTIRUN:
            words = [str(word) for word in config.hydra.overrides.task]
            sweep.note(
                num=config.hydra.job.num, overrides=words, status="running", began=time.time()
            )

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Note how a job ended, and let the sweep go on past a failure, which job.job has told."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        failed = job_return.status == JobStatus.FAILED
        value = job_return._return_value
        # A table over all tasks has cells that no one can fill without that task's gold; they are no reason to stop.
        lacking = isinstance(value, GoldMissing)
        sweep.note(
            ended=time.time(), status="no gold" if lacking else "failed" if failed else "done"
        )
        if failed:
            sweep.note(error=str(value).split("\n")[0][:200])
            # Else Hydra would end the sweep with the first failure and without the table. Sweepers that search need to know.
            if config.hydra.sweeper._target_ == BASIC:
                job_return.status, job_return.return_value = JobStatus.COMPLETED, None
        elif isinstance(value, Real):
            sweep.note(score=float(value))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """The table; the exit code is 1 where a job failed."""
        if self.finish():
            raise SystemExit(1)

    def finish(self) -> int:
        """Close the books once: the sweep's runs in MLflow and the table; the number of jobs that are not done."""
        atexit.unregister(self.finish)
        if self.folder is None:
            return 0
        folder, self.folder = self.folder, None
        jobs = sweep.jobs(folder)
        counts = Counter(state(job) for job in jobs)
        bad = counts["failed"] + counts["stopped"]
        parent.close(
            folder,
            self.uri,
            "FAILED" if bad else "FINISHED",
            {"jobs": len(jobs), "jobs_failed": bad},
        )
        if jobs:
            show(jobs, counts, time.time() - self.began, folder)
        return bad


def leave_out(config: DictConfig) -> None:
    """Drop from an experiment's sweep what this command has no option for and another has: one YAML serves all commands."""
    params = OmegaConf.select(config, "hydra.sweeper.params")
    known = {item.name for schema in schemas.NAMES for item in dataclasses.fields(schema)}
    # A command may have an option of the name of another's group: evaluate.py has student.path, and no choice of students.
    groups = {path.name for path in schemas.CONF.iterdir() if path.is_dir()} - set(
        config.hydra.runtime.choices
    )
    with flag_override(config, ["readonly", "struct"], False):
        for key in list(params or ()):
            name = key.partition(".")[0]
            if name in known and (name not in config or name in groups):
                del params[key]


def state(job: Mapping[str, Any]) -> str:
    """How a job ended, in a word; one that has no end was stopped with its process."""
    if job["status"] == "done" and job.get("before"):
        return "done before"
    return "stopped" if job["status"] == "running" else str(job["status"])


def show(
    jobs: Sequence[Mapping[str, Any]], counts: Mapping[str, int], seconds: float, folder: Path
) -> None:
    """One line for each job: what it was, how it ended, its score and its seconds."""
    from rich.console import Console
    from rich.table import Table

    table = Table("job", "options", "ended", "score", "seconds")
    shared = (
        set(jobs[0]["overrides"]).intersection(*(job["overrides"] for job in jobs))
        if len(jobs) > 1
        else set()
    )
    for job in jobs:
        score = f"{job['score']:.4f}" if "score" in job else ""
        words = " ".join(word for word in job["overrides"] if word not in shared)
        error = f": {job['error']}" if "error" in job else ""
        took = f"{job['ended'] - job['began']:.1f}" if "ended" in job else ""
        table.add_row(
            str(job["num"]), words, state(job) + error, score, took, style=STYLES.get(state(job))
        )
    console = Console(soft_wrap=not counts["failed"], highlight=False)
    console.print(table)
    found = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
    console.print(
        f"{len(jobs)} jobs in {seconds:.0f} s: {found}. Logs: {folder.parent}", markup=False
    )
