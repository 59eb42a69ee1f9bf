"""A server that goes away in the middle of a job loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from japagen import tracking
from japagen.tracking import alive, unsent
from japagen.tracking.__main__ import sync
from japagen.tracking.connect import connect
from tests.tracking.test_run import JOB, made, python


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start_server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """`mlflow server` on loopback, answering."""
    words = [
        "server",
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--workers",
        "1",
    ]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = (folder / "server.log").open("ab")
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    log.close()
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            return server
        except OSError:
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.5)
    raise AssertionError("the server does not answer")


def stop(server: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, 9)
    server.wait(timeout=30)


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """(its address, kill it, start it again)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    running = [start_server(tmp_path, port)]
    yield (
        f"http://127.0.0.1:{port}",
        lambda: stop(running.pop()),
        lambda: running.append(start_server(tmp_path, port)),
    )
    for one in running:
        stop(one)


def job(between: Callable[[], Any], uri: str) -> tracking.Run:
    """A job whose server may be another after `between`."""
    with tracking.run(made(mlflow_uri=uri), "generate", {"fingerprint": "abc"}) as run:
        run.metrics({"loss": 3.0}, step=1)
        between()
        run.metrics({"loss": 2.0, "worst": float("nan")}, step=2)
        run.tags({"folder": "日本"})
        run.params({"device": "cpu"})
        run.text("犬が走る。", "samples.md")
        run.dataset([{"sentence1": "犬"}], "jnli", "synthetic/x", "training")
        run.figure(tracking.confusion(["a"], ["a"], ["a"]), "confusion.png")
        run.metrics({"loss": 1.0}, step=3)
    return run


def seen(uri: str) -> list[Any]:
    """All of what the server has of each run that a user can see, but for what names the very run."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name("jnli")
    assert found is not None
    every = []
    for run in client.search_runs([found.experiment_id]):
        run_id = run.info.run_id
        curve = [(point.step, point.value) for point in client.get_metric_history(run_id, "loss")]
        tags = {key: value for key, value in run.data.tags.items() if key not in ("key", "process")}
        files = sorted(item.path for item in client.list_artifacts(run_id))
        inputs = [(item.dataset.name, item.dataset.digest) for item in run.inputs.dataset_inputs]
        params = {key: value for key, value in run.data.params.items() if key != "mlflow_uri"}
        # the machine's load is sampled every few seconds, so that a quick job has none
        metrics = sorted(name for name in run.data.metrics if not name.startswith("system/"))
        every.append((run.info.status, curve, metrics, tags, params, files, inputs))
    return every


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_a_dead_server_did_not_take_is_sent_once(
    server: tuple[str, Callable[[], None], Callable[[], None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri, kill, again = server
    job(lambda: None, uri)  # an undisturbed one
    job(kill, uri)
    lost = job(lambda: None, uri)  # never had a server
    assert (lost.id, len(list((tmp_path / "mlflow-unsent").glob("*.jsonl")))) == ("", 2)
    assert sync(tmp_path / "mlflow-unsent") == 2
    again()
    assert sync(tmp_path / "mlflow-unsent") == 0
    assert capsys.readouterr().out.count("sent: run") == 2
    assert sync(tmp_path / "mlflow-unsent") == 0
    assert not list((tmp_path / "mlflow-unsent").iterdir())
    undisturbed, *others = seen(uri)
    assert len(others) == 2
    assert undisturbed == others[0] == others[1]
    assert undisturbed[:2] == ("FINISHED", [(1, 3.0), (2, 2.0), (3, 1.0)])


@pytest.fixture
def store(tmp_path: Path, ready: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a store that cannot be opened until `place` is a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "place").touch()
    shutil.copy(ready / "mlflow.db", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_sync_that_is_killed_is_done_again_without_doubles(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{store}/place/mlflow.db"
    job(lambda: None, uri)
    (path,) = (store / "mlflow-unsent").glob("*.jsonl")
    (store / "place").unlink()
    (store / "place").mkdir()
    shutil.copy(store / "mlflow.db", store / "place")
    calls = 0
    done = unsent.apply

    def dies(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            raise KeyboardInterrupt
        done(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(unsent, "apply", dies)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                sync(path.parent)
    assert sync(path.parent) == 0
    assert not list(path.parent.glob("*.jsonl"))
    (found,) = seen(uri)
    assert found[:2] == ("FINISHED", [(1, 3.0), (2, 2.0), (3, 1.0)])
    assert sorted(found[5]) == ["config.yaml", "confusion.png", "samples.md"]


@pytest.mark.slow
def test_a_job_killed_during_the_outage_is_sent_as_killed(store: Path) -> None:
    uri = f"sqlite:///{store}/place/mlflow.db"
    job(lambda: None, uri)
    (path,) = (store / "mlflow-unsent").glob("*.jsonl")
    head, *rest = unsent.lines(path)
    assert oct(path.stat().st_mode)[-3:] == "600"
    written = [json.dumps(line) for line in [head, *rest[:-1]]]
    path.write_text("\n".join([*written, '{"do": "ba']), encoding="utf-8")
    (store / "place").unlink()
    (store / "place").mkdir()
    shutil.copy(store / "mlflow.db", store / "place")
    assert unsent.waiting(path.parent) == []  # this process lives
    dead = {**head, "tags": {**head["tags"], "process": f"{os.getpid()}:1"}}
    path.write_text("\n".join([json.dumps(dead), *written[1:], '{"do": "ba']), encoding="utf-8")
    assert sync(path.parent) == 0
    assert [run[0] for run in seen(uri)] == ["KILLED"]


def test_the_process_of_a_run_is_known_to_be_gone() -> None:
    assert not alive.has_ended(alive.own_tags())
    assert alive.has_ended({**alive.own_tags(), "process": f"{os.getpid()}:1"})
    assert not alive.has_ended({**alive.own_tags(), "process": "1:1", "host": "elsewhere"})
    assert not alive.has_ended({})
    ended = subprocess.Popen(["true"])
    time.sleep(0.2)
    assert alive.start_time(ended.pid) == ""  # ended, and only not fetched
    ended.wait()


@pytest.mark.slow
def test_a_killed_job_is_closed_by_the_next_one(store: Path) -> None:
    code = JOB.replace(
        "    run.metrics", "    import os\n    os.kill(os.getpid(), 9)\n    run.metrics"
    )
    assert python(code, store).communicate(timeout=120) is not None
    client, experiment = connect("sqlite:///mlflow.db", "first")
    assert [run.info.status for run in client.search_runs([experiment])] == ["RUNNING"]
    with tracking.run(made(task="first"), "generate", {}):
        assert sorted(run.info.status for run in client.search_runs([experiment])) == [
            "KILLED",
            "RUNNING",
        ]


def test_the_command_tells_its_usage(monkeypatch: pytest.MonkeyPatch, store: Path) -> None:
    from japagen.tracking.__main__ import main

    monkeypatch.setattr(sys, "argv", ["tracking", "what"])
    with pytest.raises(SystemExit, match="sync"):
        main()
    monkeypatch.setattr(sys, "argv", ["tracking", "sync"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0


@pytest.mark.parametrize(
    "name",
    ["students/model.safetensors", ".git/HEAD", "a" * 32 + "x/1/file", "notes.jsonl", "0" * 32],
)
def test_sync_refuses_a_folder_with_anything_that_it_did_not_write(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("kept")
    (tmp_path / ("b" * 32) / "1").mkdir(parents=True)
    with pytest.raises(SystemExit, match="not a folder of unsent runs") as caught:
        sync(tmp_path)
    assert repr(name.split("/")[0]) in str(caught.value)
    assert path.read_text() == "kept"
    assert (tmp_path / ("b" * 32) / "1").exists()


def test_sync_deletes_only_the_copies_of_runs_that_were_sent(tmp_path: Path) -> None:
    sent, other = tmp_path / ("a" * 32), tmp_path / ("b" * 32)
    (sent / "1").mkdir(parents=True)
    (sent / "1" / "samples.md").write_text("sent already")
    other.mkdir()
    (other / "thesis.md").write_text("somebody's")
    assert sync(tmp_path) == 0
    assert not sent.exists()
    assert (other / "thesis.md").exists()
