"""The runs that a store has, as plain values."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.secret import hidden
from japagen.tracking.attempt import Question, attempt, within
from japagen.tracking.connect import address, database, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 60.0  # seconds for one page of runs or one file, where no job waits


@dataclass(frozen=True)
class Recorded:
    """A run as the store has it.

    `task` is its experiment's name, `began` in seconds since 1970; `read` gives the text of an
    artifact, or None if there is none.
    """

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
    """All runs in the store `uri` that are not deleted, oldest first; UserError without a store."""
    uri = address(uri)
    if (path := database(uri)) is not None and not os.access(
        path, os.F_OK
    ):  # MLflow would create it
        raise UserError(
            f"There are no runs: {path} does not exist. "
            "Name the store with --mlflow-uri, or record runs first."
        )
    if not uri or (path is not None and path.is_dir()):
        raise UserError(
            f"{path or 'an empty address'} is no store of runs; allowed: sqlite:///FILE, or the "
            "address of a server. Name the store with --mlflow-uri."
        )
    failed = Question()
    found = attempt(failed, "", lambda: [*every_run(uri)])
    if found is None:
        raise UserError(
            f"MLflow cannot read the runs in {hidden(uri)}: {failed.lost}\n"
            "Name the store with --mlflow-uri."
        )
    return sorted(found, key=lambda item: item.began)


def every_run(uri: str) -> Iterator[Recorded]:
    """The runs of all experiments."""
    client = open_client(uri)
    experiments = pages(uri, client.search_experiments)
    names = {item.experiment_id: item.name for item in experiments}
    for item in pages(uri, client.search_runs, list(names)) if names else ():
        yield as_recorded(client, uri, item, names[item.info.experiment_id])


def folder_of(uri: str, run_id: str) -> str:
    """The tag `folder` of the run with this id in the store `uri`, or ""."""
    uri = address(uri)
    path = database(uri)
    if path is not None and not path.exists():
        return ""

    def ask() -> str:
        return str(open_client(uri).get_run(run_id).data.tags.get("folder", ""))

    return attempt(Question(), uri, ask) or ""


def pages(uri: str, search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """All that a paged search of MLflow's client finds."""
    token: str | None = None
    while True:

        def ask(token: str | None = token) -> Any:
            return search(*arguments, max_results=1000, page_token=token)

        page = within(uri, ask, PATIENCE)
        yield from page
        token = page.token
        if not token:
            return


def as_recorded(client: MlflowClient, uri: str, item: Any, task: str) -> Recorded:
    """MLflow's run as plain values."""
    info, data = item.info, item.data

    def read(name: str) -> str | None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                place = within(
                    uri, lambda: client.download_artifacts(info.run_id, name, folder), PATIENCE
                )
                return Path(place).read_text(encoding="utf-8")
        except Exception:  # each kind of artifact store has its own errors
            return None

    return Recorded(
        id=info.run_id,
        experiment=info.experiment_id,
        task=task,
        name=info.run_name or info.run_id,
        status=info.status,
        began=(info.start_time or 0) / 1000,
        tags={key: value for key, value in data.tags.items() if not key.startswith("mlflow.")},
        params=data.params,
        metrics=data.metrics,
        read=read,
    )
