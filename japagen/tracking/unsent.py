"""Calls that MLflow did not take: kept in files, sent later, each run once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from japagen.tracking import parent
from japagen.tracking.alive import gone
from japagen.tracking.connect import connect_to
from japagen.tracking.model import upload

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "mlflow-unsent"


class Unsent:
    """The calls of one run, a flushed JSON line each, and copies of its files; nothing is made before the first."""

    def __init__(self, created: Mapping[str, Any]) -> None:
        self.created, self.number = dict(created), 0
        self.path = Path(FOLDER).absolute() / f"{created['tags']['key']}.jsonl"

    @property
    def begun(self) -> bool:
        """Whether anything was kept."""
        return self.number > 0

    def write(self, entry: Mapping[str, Any], run: str) -> None:
        """Keep one call of the run `run`, "" where MLflow has none yet. A full disk does not end the job."""
        try:
            self.path.parent.mkdir(exist_ok=True)
            lines = [] if self.begun else [{**self.created, "run": run}]
            self.number += 1
            self.path.touch(mode=0o600)  # the address of a store may hold a password
            with self.path.open("a", encoding="utf-8") as file:
                for line in [*lines, self.copied(entry)]:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return

    def copied(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        """`entry` with a copy of its file, which may be gone when it is sent."""
        if entry["do"] != "file":
            return entry
        copy = Path(self.path.stem) / str(self.number) / Path(entry["path"]).name
        (self.path.parent / copy).parent.mkdir(parents=True)
        shutil.copyfile(entry["path"], self.path.parent / copy)
        return {**entry, "path": str(copy)}


def apply(client: MlflowClient, run: str, entry: Mapping[str, Any]) -> None:
    """Do what one entry says; done twice it is as if done once."""
    from mlflow import entities as new

    if entry["do"] == "batch":
        metrics = [new.Metric(*values) for values in entry.get("metrics", ())]
        params = [new.Param(*values) for values in entry.get("params", ())]
        client.log_batch(
            run, metrics, params, [new.RunTag(*values) for values in entry.get("tags", ())]
        )
    elif entry["do"] == "file":
        client.log_artifact(run, entry["path"], entry["folder"] or None)
    elif entry["do"] == "dataset":
        tag = new.InputTag("mlflow.data.context", entry["context"])
        client.log_inputs(run, [new.DatasetInput(new.Dataset(*entry["dataset"]), [tag])])
    elif entry["do"] == "model":
        upload(client, run, entry["name"], Path(entry["path"]), entry["made"])
    else:
        client.set_terminated(run, entry["status"], entry["time"])


def send(path: Path) -> str:
    """Send all that one file keeps, then delete it; the run's id. Stopped at any moment, it may be done again.

    What MLflow refuses for good is left out, and the run's tag `incomplete` says so.
    """
    from mlflow.exceptions import MlflowException

    with FileLock(path.with_suffix(".lock")):
        if not path.exists():  # another process has sent it meanwhile
            return ""
        created, *entries = lines(path)
        client, experiment = connect_to(created["uri"], created["experiment"])
        run = created["run"] or find_or_make(client, experiment, created)
        for entry in entries:
            known = (
                {**entry, "path": str(path.parent / entry["path"])}
                if entry["do"] == "file"
                else entry
            )
            try:
                apply(client, run, known)
            except MlflowException as error:
                # A server older than MLflow's logged models knows no such address, now or later.
                refused = (
                    "INVALID_PARAMETER_VALUE",
                    *(("ENDPOINT_NOT_FOUND",) if entry["do"] == "model" else ()),
                )
                if error.error_code not in refused:
                    raise
                client.set_tag(run, "incomplete", str(error)[:400])
        if not entries or entries[-1]["do"] != "end":
            client.set_terminated(run, "KILLED")
        # First the file, so that what is half deleted is never sent.
        path.unlink()
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    path.with_suffix(".lock").unlink(missing_ok=True)
    return str(run)


def find_or_make(client: MlflowClient, experiment: str, created: Mapping[str, Any]) -> str:
    """The run with the key of `created`, or a new one."""
    for found in client.search_runs(
        [experiment], f"tags.key = '{created['tags']['key']}'", max_results=1
    ):
        return str(found.info.run_id)
    tags = {**created["tags"], **parent.late_tag(client, experiment, created["sweep"])}
    return str(client.create_run(experiment, created["time"], tags, created["name"]).info.run_id)


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, without a last one that was not written whole."""
    found = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def waiting(folder: Path) -> list[Path]:
    """The files of runs that are at an end, by their own word or because their process is gone."""
    ready = []
    for path in sorted(folder.glob("*.jsonl")):
        found = lines(path)
        if found and (found[-1].get("do") == "end" or gone(found[0]["tags"])):
            ready.append(path)
    return ready
