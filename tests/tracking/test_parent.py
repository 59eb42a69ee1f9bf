"""The runs of sweeps end with their sweep, also those that a killed start left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from japagen.job import sweep
from japagen.tracking import alive, parent
from japagen.tracking.connect import connect

URI = "sqlite:///mlflow.db"


@pytest.fixture
def folder(tmp_path: Path, ready: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with a store, and the files of a sweep in it."""
    shutil.copy(ready / "mlflow.db", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep").mkdir()
    sweep.write(tmp_path / "sweep" / sweep.HEAD, {**head(), "folder": ""})
    return tmp_path / "sweep"


def head(**values: str) -> dict[str, str]:
    given = {"name": "train sweep", "digest": "abc", "experiment": "", **alive.own_tags()}
    return {**given, **values}


def dead() -> dict[str, str]:
    return {"process": f"{os.getpid()}:1"}


def start(experiment: str, **values: str) -> tuple[Any, str]:
    """A RUNNING run of a sweep or, with another stage, of a job."""
    client, key = connect(URI, experiment)
    tags = {"stage": "sweep", "sweep": "abc", **alive.own_tags(), **values}
    return client, str(client.create_run(key, tags=tags).info.run_id)


@pytest.mark.slow
def test_a_later_start_ends_what_a_killed_one_left_in_other_experiments(folder: Path) -> None:
    client, own = start("jnli")
    _, left = start("jcola", **dead())
    _, job = start("jcola", stage="generate", sweep="abc", **dead())
    _, living = start("jsts")
    _, other = start("jcola", sweep="other")
    sweep.write(folder / "parent-1.json", {"run": own})
    parent.close(folder, URI, "FINISHED", {"jobs": 2}, "| job |\n")
    status = {run: client.get_run(run).info.status for run in (own, left, job, living, other)}
    assert list(status.values()) == ["FINISHED", "FINISHED", "KILLED", "RUNNING", "RUNNING"]
    assert client.get_run(left).data.metrics == {"jobs": 2.0}
    assert [file.path for file in client.list_artifacts(own)] == ["jobs.md"]


def test_no_store_is_created_at_the_end_of_a_sweep(folder: Path) -> None:
    parent.close(folder, "sqlite:///none.db", "FINISHED", {"jobs": 2}, "")
    assert not Path("none.db").exists()


@pytest.mark.slow
def test_the_name_of_a_sweep_has_no_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "generate sweep · +llm.engine.headers={Authorization: Bearer hush}"
    sweep.write(folder / sweep.HEAD, head(name=name))
    monkeypatch.setattr(sweep, "state_folder", lambda: folder)
    found = parent.known()
    assert found is not None
    client, experiment = connect(URI, "jnli")
    tag = parent.tag(client, experiment, found)
    assert tag == parent.tag(client, experiment, found)
    run = client.get_run(tag["mlflow.parentRunId"])
    assert {"mlflow.user", "mlflow.source.name"} <= set(run.data.tags)
    assert "mlflow.note.content" not in run.data.tags  # the command of one job
    run = client.get_run(tag["mlflow.parentRunId"])
    assert "hush" not in str(run.to_dictionary())
    assert run.info.run_name.startswith("generate sweep · +llm.engine.headers=")
