"""The runs that a store has, as plain values."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.schema import Config
from japagen.config.secret import hidden
from japagen.tracking.connect import Asked, connect, database, guard

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Recorded:
    """A run as the store has it. `task` is its experiment's name, `began` in seconds since 1970, `read` an artifact's text or None."""

    id: str
    experiment: str
    task: str
    name: str
    status: str
    began: float
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    read: Callable[[str], str | None] = lambda _name: None


def recorded(uri: str) -> list[Recorded]:
    """All runs in the store `uri` that are not deleted, oldest first; UserError where there is no such store."""
    path = database(uri)
    if path is not None and not path.exists():  # else MLflow would make it
        raise UserError(
            f"There are no runs: {path} does not exist. Name the store with --mlflow-uri, or make runs first."
        )
    failed = Asked()
    found: list[Recorded] = []
    with guard(failed):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}" if path else uri)
        names = {item.experiment_id: item.name for item in pages(client.search_experiments)}
        for item in pages(client.search_runs, list(names)) if names else ():
            found.append(as_recorded(client, item, names[item.info.experiment_id]))
    if failed.lost:
        raise UserError(
            f"MLflow cannot read the runs in {hidden(uri)}: {failed.lost}\nName the store with --mlflow-uri."
        )
    return sorted(found, key=lambda item: item.began)


def folder_of(config: Config, run_id: str) -> str:
    """The tag `folder` of the run with this id, or "" where there is none."""
    path = database(config.mlflow_uri)
    if path is None or path.exists():
        with guard(Asked()):
            return str(connect(config)[0].get_run(run_id).data.tags.get("folder", ""))
    return ""


def pages(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """All that a paged search of MLflow's client finds."""
    token: str | None = None
    while True:
        page = search(*arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def as_recorded(client: MlflowClient, item: Any, task: str) -> Recorded:
    """MLflow's run as plain values."""
    info, data = item.info, item.data

    def read(name: str) -> str | None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                return Path(client.download_artifacts(info.run_id, name, folder)).read_text(
                    encoding="utf-8"
                )
        except Exception:  # each kind of artifact store has errors of its own
            return None

    tags = {key: value for key, value in data.tags.items() if not key.startswith("mlflow.")}
    name, began = info.run_name or info.run_id, info.start_time / 1000
    return Recorded(
        info.run_id,
        info.experiment_id,
        task,
        name,
        info.status,
        began,
        tags,
        data.params,
        data.metrics,
        read,
    )
