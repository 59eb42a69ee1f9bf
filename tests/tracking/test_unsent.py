"""A server that stops in the middle of a job loses nothing; unsent files are checked."""

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
from japagen.tracking.__main__ import main, sync
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
        run.figure(tracking.confusion(["a"], ["a"], ["a"]), "confusion.svg")
        run.metrics({"loss": 1.0}, step=3)
    return run


def seen(uri: str) -> list[Any]:
    """Everything that a user sees of each run, without what identifies the run."""
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
    done = unsent.deliver

    def dies(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            raise KeyboardInterrupt
        return done(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(unsent, "deliver", dies)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                sync(path.parent)
    assert sync(path.parent) == 0
    assert not list(path.parent.glob("*.jsonl"))
    (found,) = seen(uri)
    assert found[:2] == ("FINISHED", [(1, 3.0), (2, 2.0), (3, 1.0)])
    assert sorted(found[5]) == ["config.yaml", "confusion.svg", "samples.md"]


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
    assert not unsent.has_end(path)  # this process runs
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


def test_the_command_says_its_usage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["what"])
    assert end.value.code == 2
    assert "sync" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["sync"])
    assert end.value.code == 0
    assert "nothing to send" in capsys.readouterr().out


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


KEY = "c" * 32


def kept(folder: Path, *entries: dict[str, Any], **head: Any) -> Path:
    """A file of calls as a run writes it, with other values in its header."""
    given = {
        "uri": f"sqlite:///{folder}/mlflow.db",
        "experiment": "first",
        "name": "名前",
        "tags": {"key": KEY, "stage": "train"},
        "time": 1,
        "sweep": None,
        "run": "",
    }
    lines = [{**given, **head}, *entries, {"do": "end", "status": "FINISHED", "time": 2}]
    place = folder / "mlflow-unsent"
    place.mkdir(exist_ok=True)
    path = place / f"{KEY}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "path",
    [
        "/etc/hostname",
        "../secret.txt",
        f"{KEY}/../../secret.txt",
        f"{KEY}/1/../../../secret.txt",
        f"{KEY}/1/link.txt",
        f"{KEY}/linked/secret.txt",
        f"{KEY}/1/none.txt",
        "",
    ],
)
def test_only_copies_that_a_run_kept_are_uploaded(
    store: Path, path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "secret.txt").write_text("private")
    file = kept(store, {"do": "file", "path": path, "folder": ""})
    copies = file.with_suffix("")
    (copies / "1").mkdir(parents=True)
    (copies / "1" / "link.txt").symlink_to(store / "secret.txt")
    (copies / "linked").symlink_to(store)
    uploaded: list[Any] = []
    monkeypatch.setattr("mlflow.MlflowClient.log_artifact", lambda *given: uploaded.append(given))
    assert sync(file.parent) == 1
    assert uploaded == []
    assert "not sent" in capsys.readouterr().err
    assert file.exists()


def test_a_folder_that_is_no_student_is_not_uploaded(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "private").mkdir()
    mark = store / "private" / "MLmodel"
    mark.write_text("x")
    call = {"do": "model", "path": str(mark.parent), "name": "x", "made": mark.stat().st_mtime_ns}
    assert sync(kept(store, call).parent) == 1
    assert "not a saved student" in capsys.readouterr().err
    (mark.parent / "japagen.json").write_text("{}")
    (mark.parent / "weights").symlink_to("/etc/hostname")
    assert sync(store / "mlflow-unsent") == 1
    assert "symbolic links" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entry", "head"),
    [
        ({"do": "batch", "metrics": [["score"]]}, {}),
        ({"do": "batch", "metrics": [[1, 2.0, 3, 4]]}, {}),
        ({"do": "batch", "params": "x"}, {}),
        ({"do": "dataset", "dataset": ["x"], "context": "training"}, {}),
        ({"do": "erase"}, {}),
        ({}, {}),
        ({"do": ["batch"]}, {}),
        ({"do": "end", "status": "FINISHED"}, {}),
        ({"do": "batch"}, {"tags": {}}),
        ({"do": "batch"}, {"tags": {"key": "' or tags.x != '"}}),
        ({"do": "batch"}, {"tags": {"key": KEY, "process": 7}}),
        ({"do": "batch"}, {"uri": None}),
        ({"do": "batch"}, {"time": "now"}),
        ({"do": "batch"}, {"sweep": {"digest": "x"}}),
        ({"do": "batch"}, {"sweep": [1]}),
    ],
)
def test_a_file_that_no_run_wrote_is_not_sent_and_ends_nothing(
    store: Path, entry: dict[str, Any], head: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(store, entry, **head)
    before = file.read_bytes()
    assert sync(file.parent) == 1
    assert "not sent: Damaged: line " in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[" * 100_000, "\0\0", "[]\n{}\n", "\n\n", "null\n"])
def test_a_file_of_anything_else_is_not_sent_and_ends_nothing(
    store: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(store)
    file.write_text(text)
    assert sync(file.parent) == 1
    assert "not sent" in capsys.readouterr().err
    assert file.read_text() == text


def test_a_line_damaged_in_the_middle_keeps_the_file(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = kept(store, {"do": "batch", "metrics": [["score", 0.5, 1, 0]]})
    head, _, end = file.read_text().splitlines()
    file.write_text("\n".join([head, '{"do": "ba', end, ""]))
    assert sync(file.parent) == 1
    assert "line 2 is damaged" in capsys.readouterr().err
    assert file.exists()


def test_what_mlflow_refuses_is_kept_and_the_score_arrives(
    store: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    score = [["score", 0.5, 1, 0], ["f1", 0.25, 1, 0]]
    params = [["seed", "1"], ["lr", "0.1"], ["seed", "2"]]  # a param cannot have two values
    file = kept(
        store,
        {"do": "batch", "params": [["seed", "0"]]},
        {"do": "batch", "metrics": [*score, ["worst//key", 0.1, 1, 0]], "params": params},
    )
    assert sync(file.parent) == 0
    client, experiment = connect(f"sqlite:///{store}/mlflow.db", "first")
    (run,) = client.search_runs([experiment], "tags.stage = 'train'")
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"score": 0.5, "f1": 0.25}
    assert run.data.params == {"seed": "0", "lr": "0.1"}
    assert run.data.tags["incomplete"]
    assert not file.exists()
    lines = [json.loads(line) for line in unsent.refused_file(file).read_text().splitlines()]
    assert [line.get("metrics") or line["params"] for line in lines] == [
        [["worst//key", 0.1, 1, 0]],
        [["seed", "1"]],
        [["seed", "2"]],
    ]
    assert "worst//key=0.1" in caplog.text
    capsys.readouterr()
    assert sync(file.parent) == 0
    assert unsent.refused_file(file).name in capsys.readouterr().out


def full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_and_loses_nothing_if_there_is_space_again(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"sqlite:///{store}/place/mlflow.db"
    with tracking.run(made(mlflow_uri=uri), "generate", {}) as run:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full_disk)
            run.metrics({"score": 0.75})
            run.metrics({"f1": 0.5})
        run.tags({"later": "x"})
    (path,) = (store / "mlflow-unsent").glob("*.jsonl")
    calls = unsent.read(path)[1]
    assert [item[:2] for call in calls for item in call.get("metrics", ())] == [
        ["score", 0.75],
        ["f1", 0.5],
    ]
    said = [record.getMessage() for record in caplog.records if "No space" in record.getMessage()]
    assert len(said) == 1
    assert "score=0.75" in said[0]


def test_a_disk_that_stays_full_leaves_the_score_in_the_log(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"sqlite:///{store}/place/mlflow.db"
    monkeypatch.setattr(os, "fsync", full_disk)
    with tracking.run(made(mlflow_uri=uri), "generate", {}) as run:
        run.metrics({"score": 0.75})
    last = caplog.records[-1].getMessage()
    assert "neither MLflow nor" in last
    assert "score=0.75" in last


def test_a_copy_that_cannot_be_kept_is_said(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"sqlite:///{store}/place/mlflow.db"
    with tracking.run(made(mlflow_uri=uri), "generate", {}) as run:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfile", full_disk)
            run.text("犬", "samples.md")
        run.metrics({"score": 0.5})
    assert "samples.md" in caplog.text
    (path,) = (store / "mlflow-unsent").glob("*.jsonl")
    assert "score" in path.read_text()


def test_the_password_of_the_store_is_not_kept(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = f"http://me:hush-hush@127.0.0.1:{free_port()}"
    job(lambda: None, uri)
    (path,) = (store / "mlflow-unsent").glob("*.jsonl")
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    assert not [file for file in files if b"hush-hush" in file.read_bytes()]
    assert sync(path.parent) == 1
    assert "--mlflow-uri" in capsys.readouterr().err
    assert sync(path.parent, f"sqlite:///{store}/mlflow.db") == 0
