"""The run of a job from its configuration: begin it, and find earlier ones."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from japagen.config.schema import Config
from japagen.config.secret import hidden
from japagen.gold.fetch import GoldMissing
from japagen.job import sweep
from japagen.tracking import connect, leaderboard, mirror, parent, source
from japagen.tracking.alive import close_ended, own_tags
from japagen.tracking.attempt import Question, attempt
from japagen.tracking.job import Job, job_of
from japagen.tracking.run import Run
from japagen.tracking.unsent import Unsent

log = logging.getLogger("japagen.tracking")


@contextmanager
def run(config: Config, stage: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """One run for a job, in MLflow and further loggers.

    `stage` is generate, estimate, train, seeds or evaluate.

    An exception ends it as FAILED (Ctrl+C: KILLED), with the message as tag `error` and the
    traceback as error.txt, and is raised again. A failure of MLflow itself is one warning.
    UserError if a further logger cannot be opened.
    """
    job = job_of(config, stage)
    recorded = begin(job, tags) if job.recorded or job.others else Run()
    try:
        yield recorded
    except GoldMissing as error:
        if sweep.state_folder() is None:
            recorded.fail(error)
        else:
            recorded.discard()  # the sweep's table says that gold is missing; no run has failed
        raise
    except BaseException as error:
        recorded.fail(error)
        raise
    recorded.close("FINISHED")


def latest(job: Job, fingerprint: str) -> str:
    """The id of the newest finished run of the job's stage with this tag `fingerprint`, or ""."""
    found = newest(job, "fingerprint", fingerprint)
    return str(found.info.run_id) if found else ""


def earlier(job: Job, key: str) -> dict[str, float] | None:
    """The metrics of the newest finished run of its stage with the tag `job` = key, or None."""
    found = newest(job, "job", key)
    return dict(found.data.metrics) if found else None


def baselines(job: Job) -> dict[str, float]:
    """The newest score of each baseline without training in the job's experiment, by its name."""
    if not job.recorded:
        return {}
    wanted = "tags.stage = 'evaluate' and metrics.score > -2 and attributes.status = 'FINISHED'"

    def search() -> dict[str, float]:
        client, experiment = connect.connect(job.uri, job.experiment)
        order = ["start_time DESC"]
        found = client.search_runs([experiment], wanted, max_results=1000, order_by=order)[::-1]
        runs = [(run.data.tags, float(run.data.metrics["score"])) for run in found]
        return {
            f"{tags.get('llm') or tags.get('student', '')} {tags['method']}": score
            for tags, score in runs
            if tags.get("subject") in ("prompting", "encoder")
        }

    return attempt(Question(), job.uri, search) or {}


def where(job: Job, run: Run) -> str:
    """The commands or addresses that show `run`; "" if it was not recorded."""
    places = [connect.page(job.uri, job.experiment, run), *(one.where() for one in run.mirrors)]
    return "\n  and  ".join(filter(None, places))


def begin(job: Job, tags: Mapping[str, str]) -> Run:
    """A new run with the job's tags, params and config.yaml; in files if MLflow fails."""
    from omegaconf import OmegaConf

    mirrors = mirror.begin(job, tags.get("job", ""))
    recorded = create(job) if job.recorded else Run(hidden(job.name))
    recorded.mirrors = mirrors
    recorded.tags({"stage": job.stage, "method": job.method, **job.groups, **tags})
    recorded.params(job.params)
    recorded.text(OmegaConf.to_yaml(OmegaConf.create(dict(job.options))), "config.yaml")
    if job.system_metrics:
        recorded.watch()
    return recorded


def create(job: Job) -> Run:
    """The run in MLflow, below its sweep's."""
    if connect.address(Config.mlflow_uri) != job.uri and connect.VARIABLE in os.environ:
        log.info("runs go to mlflow_uri=%s, not to %s", hidden(job.uri), connect.VARIABLE)
    recorded, head, now = Run(hidden(job.name), job.uri), parent.known(), int(time.time() * 1000)
    # `key`: a run that was created although MLflow's answer got lost is found by it.
    own = {"stage": job.stage, "method": hidden(job.method), "key": uuid.uuid4().hex}
    own |= {**own_tags(), **source.tags(), **parent.tags(head)}
    place = {"uri": job.uri, "experiment": job.experiment}
    recorded.unsent = Unsent(
        {**place, "name": recorded.name, "tags": own, "time": now, "sweep": head}
    )

    def make() -> None:
        client, experiment = connect.connect(job.uri, job.experiment)
        leaderboard.share(client, experiment)
        close_ended(client, experiment)
        tags = {**own, **parent.tag(client, experiment, head)}
        made = client.create_run(experiment, now, tags, recorded.name)
        recorded.client, recorded.experiment, recorded.id = client, experiment, made.info.run_id

    attempt(recorded, job.uri, make)
    return recorded


def newest(job: Job, tag: str, value: str) -> Any:
    """The newest finished run of the job's stage and experiment with this tag, or None."""
    wanted = f"tags.stage = '{job.stage}' and tags.{tag} = '{value}'"
    wanted = f"{wanted} and attributes.status = 'FINISHED'"

    def search() -> Any:
        client, experiment = connect.connect(job.uri, job.experiment)
        order = ["start_time DESC"]
        found = client.search_runs([experiment], wanted, max_results=1, order_by=order)
        return found[0] if found else None

    return attempt(Question(), job.uri, search) if job.recorded else None
