"""Addresses of MLflow stores, the client of one, and its experiments."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock

from japagen.config.schema import Config
from japagen.config.secret import hidden
from japagen.tracking.leaderboard import QUERY
from japagen.tracking.safe import file_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE = "MLFLOW_TRACKING_URI"  # where MLflow's own users set the address


class Named(Protocol):
    """A run that can be found in MLflow's pages."""

    id: str
    experiment: str
    name: str


def address(uri: str) -> str:
    """The store to use where the option mlflow_uri is `uri`; MLFLOW_TRACKING_URI is its default."""
    given = os.environ.get(VARIABLE, "")
    uri = given if given and uri == Config.mlflow_uri else uri
    path = database(uri)
    return f"sqlite:///{path.as_posix()}" if path else uri


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file that `uri` names; None for another kind of store."""
    found = re.fullmatch(r"sqlite:///((?!:)[^?]+)", uri)
    return Path(found[1]).absolute() if found else None


def open_client(uri: str) -> MlflowClient:
    """MLflow's client of the store `uri`."""
    from mlflow import MlflowClient

    path = database(uri)
    return MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}" if path else uri)


def connect(uri: str, experiment: str) -> tuple[MlflowClient, str]:
    """The client of the store `uri` and the id of the experiment; both are created if missing."""
    path = database(uri)
    if path is None:
        client = open_client(uri)
        return client, experiment_id(client, experiment, None)
    with FileLock(f"{path}.lock", timeout=120):  # else two first jobs would both create the tables
        if not path.exists() or path.stat().st_size == 0:
            create_store(path)
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            # Tried first, because MLflow tries a file that it cannot write for 100 seconds.
            connection.execute("BEGIN IMMEDIATE")
        client = open_client(uri)
        folder = path.parent / "mlruns" / file_name(experiment)
        return client, experiment_id(client, experiment, folder.as_uri())


def create_store(path: Path) -> None:
    """Create an SQLite store with all of MLflow's tables: whole, or not at all.

    MLflow creates the tables in many transactions and can't continue in a store where it was killed
    between two of them. So it works in a temporary folder, and the result is copied and renamed.
    """
    part = path.with_name(f"{path.name}.part")
    for name in (part.name, f"{part.name}-journal"):
        part.with_name(name).unlink(missing_ok=True)
    # MLflow keeps its connections open; some systems do not delete open files.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "mlflow.db"
        open_client(f"sqlite:///{made.as_posix()}").get_experiment_by_name("Default")
        with closing(sqlite3.connect(made)) as whole, closing(sqlite3.connect(part)) as copy:
            whole.backup(copy)
    part.replace(path)


def experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of the experiment `name`.

    One deleted in MLflow's pages is restored, because its name cannot be used again.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifacts)
        except Exception:
            found = client.get_experiment_by_name(name)
            if found is None:  # else another job was faster
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def page(uri: str, experiment: str, run: Named) -> str:
    """The commands or addresses that show `run` and all scores of its experiment, a line each.

    "" if it was not recorded.
    """
    if not run.id:
        return ""
    place = f"#/experiments/{run.experiment}/runs/{run.id}"
    place = f"{place} (experiment {experiment}, run '{run.name}')"
    scores = f"#/experiments/{run.experiment}/runs{QUERY} (all scores of {experiment})"
    path, shown = database(uri), hidden(uri.rstrip("/"))
    if shown.startswith("http"):
        return f"{shown}/{place}\n{shown}/{scores}"
    # Plain `mlflow ui` opens ./mlflow.db, unless ./mlruns has runs of MLflow's old file store.
    plain = path == Path("mlflow.db").absolute() and not any(Path("mlruns").glob("*/meta.yaml"))
    store = shlex.quote(f"sqlite:///{path}" if path else shown)
    option = "" if plain else f" --backend-store-uri {store}"
    server = "http://127.0.0.1:5000"  # where `mlflow ui` listens by default
    return f"mlflow ui{option}  ->  {server}/{place}\n  and  {server}/{scores}"
