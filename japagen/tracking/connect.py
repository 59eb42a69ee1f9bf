"""MLflow's client and its experiments; MLflow is kept quiet, and its failure is told once."""

from __future__ import annotations

import logging
import os
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock

from japagen.config.schema import Config
from japagen.config.secret import hidden

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("japagen.tracking")

REFUSED = re.compile(r"[^\w.\-/ ]")  # characters that MLflow does not take in a key


class Guarded(Protocol):
    """What a failure of MLflow is noted on, and what is done about it."""

    lost: str

    def kept(self) -> str:
        """Where what MLflow does not take is kept, and how it is sent later; "" for what is not kept."""
        ...


class Asked:
    """A question to MLflow that may go unanswered."""

    lost = ""

    def kept(self) -> str:
        """Nothing is lost by it."""
        return ""


class Named(Protocol):
    """A run that can be found in MLflow's pages."""

    id: str
    experiment: str
    name: str


@contextmanager
def guard(run: Guarded) -> Iterator[ModuleType]:
    """Without log lines of MLflow and its kin; a failure becomes one warning, and its reason run.lost."""
    try:
        with quiet() as mlflow:
            yield mlflow
    except Exception as error:
        if not run.lost:
            reason = re.split(r"\[SQL|\(Background", f"{type(error).__name__}: {error}")[0]
            run.lost = hidden(" ".join(reason.split()))[:400]
            log.warning(
                "MLflow failed, the job goes on without it (logger=none turns it off): %s%s",
                run.lost,
                run.kept(),
            )


@contextmanager
def quiet() -> Iterator[ModuleType]:
    """MLflow, without log lines of it and its kin."""
    # MLflow reads these: our users' jobs are not for its makers to count, and it would try a dead server for 4 minutes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow  # before its loggers are silenced, because it sets their levels

    levels = {
        logger: logger.level for logger in map(logging.getLogger, ("mlflow", "alembic", "urllib3"))
    }
    try:
        for logger in levels:
            logger.setLevel(logging.CRITICAL)
        yield mlflow
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def connect(config: Config) -> tuple[MlflowClient, str]:
    """MLflow's client and the id of the task's experiment; both are made where there is none."""
    return connect_to(config.mlflow_uri, config.task.name)


def connect_to(uri: str, name: str) -> tuple[MlflowClient, str]:
    """MLflow's client of the store `uri` and the id of the experiment `name`; both are made where there is none."""
    from mlflow import MlflowClient

    path = database(uri)
    if path is None:
        client = MlflowClient(tracking_uri=uri)
        return client, experiment_id(client, name, None)
    with FileLock(f"{path}.lock", timeout=120):  # two first jobs at once would both make the tables
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            # Asked first, because MLflow tries a file that it cannot write ten times in 100 seconds.
            connection.execute("BEGIN IMMEDIATE")
        client = MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}")
        folder = path.parent / "mlruns" / REFUSED.sub("_", name)
        return client, experiment_id(client, name, folder.as_uri())


def experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of the experiment `name`; one deleted in the UI comes back, because its name cannot be used again."""
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


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file that `uri` names, or None for another kind of store."""
    found = re.fullmatch(r"sqlite:///((?!:)[^?]+)", uri)
    return Path(found[1]).absolute() if found else None


def where(config: Config, run: Named) -> str:
    """What to type or open to see `run`, or "" where none was recorded."""
    page = f"#/experiments/{run.experiment}/runs/{run.id} (experiment {config.task.name}, run '{run.name}')"
    path, uri = database(config.mlflow_uri), hidden(config.mlflow_uri.rstrip("/"))
    if not run.id or uri.startswith("http"):
        return f"{uri}/{page}" if run.id else ""
    # Plain `mlflow ui` opens ./mlflow.db, unless ./mlruns has runs of MLflow's old file store.
    plain = path == Path("mlflow.db").absolute() and not any(Path("mlruns").glob("*/meta.yaml"))
    option = (
        "" if plain else f" --backend-store-uri {shlex.quote(f'sqlite:///{path}' if path else uri)}"
    )
    return f"mlflow ui{option}  ->  http://127.0.0.1:5000/{page}"
