"""The run of a whole sweep, one in each experiment, which its jobs' runs are shown below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from japagen.job import sweep
from japagen.tracking.connect import Asked, database, guard

if TYPE_CHECKING:
    from mlflow import MlflowClient


def known() -> dict[str, str] | None:
    """What the sweep of this job is, with its books' folder; None for a single job."""
    folder = sweep.state_folder()
    return (
        None
        if folder is None
        else {**sweep.read(folder / sweep.HEAD), "folder": str(folder.absolute())}
    )


def tags(head: Mapping[str, str] | None) -> dict[str, str]:
    """What a job's run says of its sweep."""
    return (
        {
            key: head[word]
            for key, word in (("sweep", "digest"), ("experiment", "experiment"))
            if head[word]
        }
        if head
        else {}
    )


def tag(client: MlflowClient, experiment: str, head: Mapping[str, str] | None) -> dict[str, str]:
    """The tag that puts a job's run below its sweep's, which the first job of each experiment makes."""
    if head is None:
        return {}
    folder = Path(head["folder"])
    with FileLock(folder / f"parent-{experiment}.lock", timeout=120):
        path = folder / f"parent-{experiment}.json"
        if not path.exists():
            sweep.write(path, {"run": find_or_make(client, experiment, head)})
        return {"mlflow.parentRunId": sweep.read(path)["run"]}


def find_or_make(client: MlflowClient, experiment: str, head: Mapping[str, str]) -> str:
    """The run of the same sweep where it was not finished, running again, or a new one."""
    wanted = f"tags.stage = 'sweep' and tags.sweep = '{head['digest']}' and attributes.status != 'FINISHED'"
    described = {"stage": "sweep", **tags(head), "host": head["host"], "process": head["process"]}
    for found in client.search_runs(
        [experiment], wanted, max_results=1, order_by=["start_time DESC"]
    ):
        run = str(found.info.run_id)
        client.update_run(run, status="RUNNING")
        for key, value in described.items():
            client.set_tag(run, key, value)
        return run
    return str(client.create_run(experiment, tags=described, run_name=head["name"]).info.run_id)


def late_tag(
    client: MlflowClient, experiment: str, head: Mapping[str, str] | None
) -> dict[str, str]:
    """The same for a run that is sent when its sweep may be long over."""
    if head is None:
        return {}
    wanted = f"tags.stage = 'sweep' and tags.sweep = '{head['digest']}'"
    for found in client.search_runs(
        [experiment], wanted, max_results=1, order_by=["start_time DESC"]
    ):
        return {"mlflow.parentRunId": str(found.info.run_id)}
    run = find_or_make(client, experiment, head)
    client.set_terminated(run, "FINISHED")
    return {"mlflow.parentRunId": run}


def close(folder: Path, uri: str, status: str, counts: Mapping[str, float]) -> None:
    """End the sweep's runs, with the numbers of its jobs."""
    paths = sorted(folder.glob("parent-*.json"))
    if not paths:
        return
    with guard(Asked()):
        from mlflow import MlflowClient

        path = database(uri)
        client = MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}" if path else uri)
        for run in (sweep.read(path)["run"] for path in paths):
            for key, value in counts.items():
                client.log_metric(run, key, value)
            client.set_terminated(run, status)
