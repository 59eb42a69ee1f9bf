"""The run of a whole sweep, one in each experiment; the runs of its jobs are shown below it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from japagen.config.secret import hidden
from japagen.job import sweep
from japagen.tracking import source
from japagen.tracking.alive import close_ended, has_ended
from japagen.tracking.attempt import Question, attempt
from japagen.tracking.connect import database, open_client
from japagen.tracking.safe import file_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FIELDS = ("name", "digest", "experiment", "host", "process")


def known() -> dict[str, str] | None:
    """The sweep of this job, with the folder of its files; None for a single job."""
    folder = sweep.state_folder()
    if folder is None:
        return None
    head = sweep.read(folder / sweep.HEAD)
    return {**{key: hidden(head.get(key, "")) for key in FIELDS}, "folder": str(folder.absolute())}


def tags(head: Mapping[str, str] | None) -> dict[str, str]:
    """The tags of a job's run that name its sweep."""
    named = {"sweep": head["digest"], "experiment": head["experiment"]} if head else {}
    return {key: value for key, value in named.items() if value}


def tag(client: MlflowClient, experiment: str, head: Mapping[str, str] | None) -> dict[str, str]:
    """The tag that puts a job's run below its sweep's, which the first job creates."""
    if head is None:
        return {}
    folder, name = Path(head["folder"]), f"parent-{file_name(experiment)}"
    with FileLock(folder / f"{name}.lock", timeout=120):
        path = folder / f"{name}.json"
        if not path.exists():
            about = {key: text for key, text in source.tags().items() if key != source.NOTE}
            sweep.write(path, {"run": find_or_create(client, experiment, head, about)})
        return {"mlflow.parentRunId": str(sweep.read(path)["run"])}


def find_or_create(
    client: MlflowClient, experiment: str, head: Mapping[str, str], about: Mapping[str, str]
) -> str:
    """The run of the same sweep if it is unfinished, running again; else a new one.

    `about`: the tags for user, source and version.
    """
    wanted = f"tags.stage = 'sweep' and tags.sweep = '{head['digest']}'"
    wanted = f"{wanted} and attributes.status != 'FINISHED'"
    described = {"stage": "sweep", **tags(head), "host": head["host"], "process": head["process"]}
    described |= about
    order = ["start_time DESC"]
    for found in client.search_runs([experiment], wanted, max_results=1, order_by=order):
        run = str(found.info.run_id)
        client.update_run(run, status="RUNNING")
        for key, value in described.items():
            client.set_tag(run, key, value)
        return run
    return str(client.create_run(experiment, tags=described, run_name=head["name"]).info.run_id)


def late_tag(
    client: MlflowClient, experiment: str, head: Mapping[str, str] | None
) -> dict[str, str]:
    """The same for a run that is sent when its sweep may have ended long ago."""
    if not head:
        return {}
    wanted, order = f"tags.stage = 'sweep' and tags.sweep = '{head['digest']}'", ["start_time DESC"]
    for found in client.search_runs([experiment], wanted, max_results=1, order_by=order):
        return {"mlflow.parentRunId": str(found.info.run_id)}
    run = find_or_create(client, experiment, head, {})
    client.set_terminated(run, "FINISHED")
    return {"mlflow.parentRunId": run}


def close(folder: Path, uri: str, status: str, counts: Mapping[str, float], table: str) -> None:
    """End the sweep's runs with the numbers of its jobs, and their table as jobs.md.

    Also ends the runs that an earlier start of the same sweep left RUNNING when it was killed, in
    experiments where this start had nothing to do. Nothing is created where there is no store.
    """
    path = database(uri)
    if path is not None and not path.exists():
        return
    own = [str(sweep.read(one)["run"]) for one in sorted(folder.glob("parent-*.json"))]
    digest = str(sweep.read(folder / sweep.HEAD).get("digest", ""))

    def end() -> None:
        client = open_client(uri)
        for run in dict.fromkeys([*own, *unfinished(client, digest)]):
            for key, value in counts.items():
                client.log_metric(run, key, value)
            client.log_text(run, hidden(table), "jobs.md")
            client.set_terminated(run, status)

    attempt(Question(), uri, end)


def unfinished(client: MlflowClient, digest: str) -> list[str]:
    """The RUNNING runs of the sweep `digest`, after runs without a process have been ended."""
    found: list[Run] = []
    for experiment in client.search_experiments(max_results=1000):
        wanted = f"tags.stage = 'sweep' and tags.sweep = '{digest}'"
        wanted = f"{wanted} and attributes.status = 'RUNNING'"
        found += client.search_runs([experiment.experiment_id], wanted, max_results=1000)
        close_ended(client, experiment.experiment_id)
    # The same sweep may run a second time at this moment, in another process.
    return [str(run.info.run_id) for run in found if has_ended(run.data.tags)]
