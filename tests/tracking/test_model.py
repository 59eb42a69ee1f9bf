"""A saved student as MLflow's model: the same answers by MLflow's own loader and over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from japagen.command import train
from japagen.tracking.model import describe, upload
from tests.conftest import Compose
from tests.toys import FAST, saved, sentences
from tests.tracking.test_unsent import free_port, stop


def logged(composed: Compose, gold_dir: Path, task: str, *overrides: str) -> str:
    """Train a student that is recorded in MLflow; the address of its store."""
    uri = f"sqlite:///{Path.cwd()}/mlflow.db"
    words = [
        f"task={task}",
        "data=gold",
        f"gold_dir={gold_dir}",
        "logger=mlflow",
        f"mlflow_uri={uri}",
    ]
    train.run(composed("train", *words, *FAST, *overrides))
    return uri


def said() -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in (saved() / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "column"), [("jcola", "string"), ("jsts", "double")])
def test_mlflow_opens_the_folder_and_the_logged_model(
    composed: Compose, gold_dir: Path, ready: Path, task: str, column: str
) -> None:
    from mlflow import MlflowClient, pyfunc
    from pandas import DataFrame

    uri = logged(composed, gold_dir, task, "logger.model=true")
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(task)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert (model.source_run_id, model.name, str(model.status)) == (
        run.info.run_id,
        saved().name,
        "READY",
    )
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    texts = [text for text, _ in sentences(40, 1)]
    asked = DataFrame(
        {"sentence": texts} if task == "jcola" else {"sentence1": texts, "sentence2": ["犬。"] * 40}
    )
    for place in (str(saved()), model.artifact_location):
        opened = pyfunc.load_model(place)
        assert opened.metadata.get_input_schema().input_names() == list(asked)
        assert opened.metadata.get_output_schema().input_types()[0].name == column
        assert list(opened.input_example) == list(asked)
        found, expected = (
            list(opened.predict(asked)["predicted"]),
            [row["predicted"] for row in said()],
        )
        assert found == (expected if task == "jcola" else pytest.approx(expected, abs=1e-4))


@pytest.mark.slow
def test_an_upload_that_broke_off_is_finished_by_the_next(
    tmp_path: Path, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    shutil.copy(ready / "mlflow.db", tmp_path)
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("first", artifact_location=(tmp_path / "mlruns").as_uri())
    run, later = (client.create_run(experiment).info.run_id for _ in range(2))
    folder = tmp_path / "student"
    folder.mkdir()
    describe(folder, {"sentence": "犬が走る。"}, [("predicted", "string")])
    made = (folder / "MLmodel").stat().st_mtime_ns
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):
        broken.setattr(
            MlflowClient, "log_outputs", lambda *_: (_ for _ in ()).throw(ConnectionError)
        )
        upload(client, run, "student", folder, made)
    for _ in range(2):
        upload(client, run, "student", folder, made)
    (model,) = client.search_logged_models([experiment])
    assert [output.model_id for output in client.get_run(run).outputs.model_outputs] == [
        model.model_id
    ]
    # Another training has taken the folder.
    upload(client, later, "student", folder, made - 1)
    assert "no longer" in client.get_run(later).data.tags["incomplete"]
    assert len(client.search_logged_models([experiment])) == 1


@pytest.mark.slow
def test_models_serve_answers_for_a_saved_student(
    composed: Compose, gold_dir: Path, ready: Path
) -> None:
    logged(composed, gold_dir, "jcola")
    port = free_port()
    words = [
        "models",
        "serve",
        "-m",
        str(saved()),
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    # mlflow starts uvicorn by its bare name.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with Path("serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, Path("serve.log").read_text()
                time.sleep(0.5)
        table = {"columns": ["sentence"], "data": [[text] for text, _ in sentences(40, 1)]}
        for body, expected in (
            (json.dumps({"dataframe_split": table}), [row["predicted"] for row in said()]),
            ((saved() / "serving_input_example.json").read_text(encoding="utf-8"), None),
        ):
            asked = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations",
                body.encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(asked, timeout=60) as answer:
                found = [row["predicted"] for row in json.load(answer)["predictions"]]
            assert found == expected or (
                expected is None and found[0] in ("acceptable", "unacceptable")
            )
    finally:
        stop(server)
