"""Secrets planted into trainings, sweeps, uploads, `sync`, `report`, `predict` and `serve`."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.loopback import Loopback
from tests.planted import (
    EVALUATE,
    GENERATE,
    SECRETS,
    SERVER,
    TASK,
    TRAIN,
    Echo,
    Hub,
    assert_hidden,
    assert_sent,
    ready_folder,
    run,
)
from tests.service.asgi import ONE
from tests.service.test_process import post, service, started
from tests.student.test_labeller import saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMALL = ["student=tiny", "trainer=cpu", "trainer.max_epochs=1", "trainer.min_steps=1"]


def tracking(server: Loopback) -> str:
    """The address of MLflow with a user, a password and a query."""
    password = quote(SECRETS["user_password"], safe="")
    query = quote_plus(SECRETS["mlflow_query"])
    return f"http://me:{password}@127.0.0.1:{server.port}/?sig={query}"


def training(gold: Path, *words: str) -> list[str]:
    """The options of a training on gold rows."""
    return ["task=jcola", "data=gold", f"gold_dir={gold}", *SMALL, *words]


def japagen(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    """The same for a command of `python -m japagen`."""
    return run(folder, "-m", "", "japagen", *words, **environment)


def stored(folder: Path) -> int:
    """How many runs the store in `folder` has."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        return int(store.execute("select count(*) from runs").fetchone()[0])


def test_a_training_whose_runs_are_kept_and_sent(
    tmp_path: Path, ready: Path, gold_dir: Path
) -> None:
    ready_folder(ready, tmp_path)
    with Echo(None) as server:
        places = {"TRACKING": tracking(server), "MLFLOW_TRACKING_PASSWORD": SECRETS["tracking"]}
        words = training(gold_dir, "mlflow_uri=${oc.env:TRACKING}")
        code, printed = run(tmp_path, TRAIN, "", *words, **places)
        assert code == 0, printed
        assert "MLflow failed" in printed
        mores: list[list[str]] = [[], ["--mlflow-uri", tracking(server)]]
        refused = [japagen(tmp_path, "sync", *more, **places) for more in mores]
        sent = [headers["Authorization"] for headers in server.headers]
        assert base64.b64encode(f"me:{SECRETS['user_password']}".encode()).decode() in str(sent)
    for code, said in refused:
        assert code == 1, said
        printed += said
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code, said = japagen(tmp_path, "sync", "--mlflow-uri", uri)
    assert code == 0, said
    assert stored(tmp_path) == 1
    assert_hidden(tmp_path, printed + said)


@pytest.mark.parametrize("taken", [True, False])
def test_a_student_and_its_upload(taken: bool, tmp_path: Path, ready: Path, gold_dir: Path) -> None:
    ready_folder(ready, tmp_path)
    with Hub() if taken else Echo(None) as server:
        endpoint = server.url.removesuffix("/v1")
        words = training(gold_dir, "push_to_hub=me/student")
        code, printed = run(tmp_path, TRAIN, "", *words, HF_ENDPOINT=endpoint)
        assert_sent(server.headers, "hub")
    assert code == (0 if taken else 1), printed
    if isinstance(server, Hub):
        (folder,) = tmp_path.glob("students/*")
        assert (folder / "README.md").read_bytes() in server.taken
        for number, body in enumerate(server.taken):
            (tmp_path / f"taken-{number}").write_bytes(body)
    assert_hidden(tmp_path, printed)


def test_a_model_of_a_hub_that_repeats_the_token(tmp_path: Path, gold_dir: Path) -> None:
    with Echo(None) as server:
        endpoint = server.url.removesuffix("/v1")
        words = training(
            gold_dir, "student=hub", "student.pretrained=me/x", "student.name=x", "logger=none"
        )
        code, printed = run(tmp_path, TRAIN, "", *words, HF_ENDPOINT=endpoint)
        assert_sent(server.headers, "hub")
    assert code == 1
    assert_hidden(tmp_path, printed)


@pytest.mark.parametrize("last", ["404", None])
def test_a_sweep(last: str | None, tmp_path: Path, ready: Path) -> None:
    ready_folder(ready, tmp_path)
    with Echo(last) as server:
        words = ["-m", *TASK, *SERVER, "num_per_label=3,4", "max_attempts=20"]
        code, printed = run(tmp_path, GENERATE, server.url, *words)
        assert_sent(server.headers, "key", "header")
    assert code == (1 if last else 0), printed
    assert "2 jobs in" in printed
    assert stored(tmp_path) >= 2
    assert_hidden(tmp_path, printed)


def test_a_sweep_of_trainings_without_its_store(tmp_path: Path, gold_dir: Path) -> None:
    with Echo(None) as server:
        words = ["-m", *training(gold_dir, "seed=1,2", "mlflow_uri=${oc.env:TRACKING}")]
        code, printed = run(tmp_path, TRAIN, "", *words, TRACKING=tracking(server))
        assert server.headers
    assert code == 0, printed
    assert len(list((tmp_path / "mlflow-unsent").glob("*.jsonl"))) == 2
    assert_hidden(tmp_path, printed)


def test_an_evaluation_that_a_server_stops(tmp_path: Path, ready: Path, gold_dir: Path) -> None:
    ready_folder(ready, tmp_path)
    with Echo("404") as server:
        words = [*TASK, *SERVER, f"gold_dir={gold_dir}"]
        code, printed = run(tmp_path, EVALUATE, server.url, *words)
        assert_sent(server.headers, "key", "header")
    assert code == 1, printed
    assert_hidden(tmp_path, printed)


@pytest.mark.parametrize("script", [GENERATE, TRAIN, EVALUATE])
@pytest.mark.parametrize("mode", ["single", "sweep"])
def test_typed_secrets_are_refused(script: str, mode: str, tmp_path: Path) -> None:
    secret = quote(SECRETS["typed"], safe="")
    typed = [
        f"mlflow_uri=http://me:{secret}@127.0.0.1:1",
        f"+llm.engine.headers={{Authorization: 'Bearer {SECRETS['typed']}'}}",
        f"+hydra.job.env_set.HF_TOKEN='{SECRETS['typed']}'",
    ]
    more = ["-m", "seed=1,2"] if mode == "sweep" else []
    code, printed = run(tmp_path, script, "", "task=jcola", *more, *typed)
    assert code == 1
    assert printed.count("environment variable") == 3, printed
    assert_hidden(tmp_path, printed)


@pytest.mark.parametrize("given", ["--mlflow-uri", "MLFLOW_TRACKING_URI"])
def test_a_report_of_a_store_that_repeats_all(given: str, tmp_path: Path) -> None:
    with Echo(None) as server:
        uri = tracking(server)
        words, found = ([given, uri], {}) if given.startswith("--") else ([], {given: uri})
        code, printed = japagen(tmp_path, "report", *words, **found)
        assert server.headers, printed
    assert code == 1
    assert "MLflow cannot read the runs" in printed
    assert_hidden(tmp_path, printed)


@pytest.mark.parametrize("command", ["report", "sync", "predict", "serve"])
def test_a_secret_typed_as_an_unknown_option(command: str, tmp_path: Path) -> None:
    for words in (["--api-key", SECRETS["typed"]], [f"--token={SECRETS['typed']}"]):
        more = ["x"] if command in ("predict", "serve") else []
        code, printed = japagen(tmp_path, command, *more, *words)
        assert code == 2, printed
        assert_hidden(tmp_path, printed)


def test_predict(tmp_path: Path) -> None:
    folder, rows = saved(tmp_path / "student", ONE), tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"sentence": "犬が走る。"}) + "\n", encoding="utf-8")
    secret = quote(SECRETS["typed"], safe="")
    printed = ""
    for source, expected in ((str(rows), 0), (f"https://me:{secret}@h/x.jsonl?sig={secret}", 1)):
        words = ["predict", str(folder), "--input", source, "--output", "out.jsonl"]
        code, said = japagen(tmp_path, *words)
        assert code == expected, said
        printed += said
    assert_hidden(tmp_path, printed)


def test_serve(tmp_path: Path) -> None:
    folder = saved(tmp_path / "student", ONE)
    key = SECRETS["serve"]
    body, said = json.dumps({"texts": ["犬が走る。"]}).encode(), list[object]()
    with service(folder, "--log", JAPAGEN_API_KEY=key) as process:
        port, lines = started(process)
        bearer = f"Bearer {key}"
        said.append(post(port, body, Authorization=bearer))
        said.append(post(port, json.dumps({key: key}).encode(), Authorization=bearer))
        said.append(post(port, f"{{{key}".encode(), Authorization=bearer))
        said.append(post(port, body, Authorization=f"Bearer x{key}"))
        said.append(post(port, body, **{"X-Key": key}))
        said.append(post(port, body, f"/predict?key={quote(key)}"))
        process.terminate()
        rest, errors = process.communicate(timeout=60)
    statuses = [answer[0] for answer in said]  # type: ignore[index]
    assert statuses == [200, 400, 400, 401, 401, 401]
    assert "POST /predict" in rest + errors
    assert_hidden(tmp_path, "".join([*lines, rest, errors, repr(said)]))
