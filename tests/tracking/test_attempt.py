"""A slow, silent or broken MLflow costs seconds, never the job."""

from __future__ import annotations

import logging
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from japagen import tracking
from japagen.tracking import attempt
from japagen.tracking.attempt import Question, within
from japagen.tracking.run import Run
from japagen.tracking.unsent import Unsent
from tests.tracking.test_run import made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time limits of a fraction of a second, and levels of loggers as before."""
    levels = {name: logging.getLogger(name).level for name in attempt.NOISY}
    for name, seconds in (("LIMIT", 0.6), ("AGAIN", 0.3)):
        monkeypatch.setattr(attempt, name, seconds)
    monkeypatch.setattr(attempt.within, "__defaults__", (0.6,))
    monkeypatch.setattr(attempt.attempt, "__defaults__", (0.6,))
    monkeypatch.setattr("japagen.tracking.entry.LIMIT", 0.6)
    attempt._silent.clear()
    yield
    attempt._silent.clear()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture(params=["silent", "one byte at a time"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that accepts connections and never completes an answer."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(50)
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                if request.param == "silent":
                    stop.wait(60)
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                connection.sendall(head + b"Content-Length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    connection.sendall(b" ")
            except OSError:
                return

    def accept() -> None:
        while not stop.is_set():
            try:
                connection = listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    stop.set()
    listening.close()


@pytest.mark.slow
def test_a_server_that_never_completes_an_answer_costs_seconds(
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    with attempt.quiet():  # importing MLflow takes seconds of its own
        pass
    config, begin = made(mlflow_uri=server), time.monotonic()
    assert tracking.latest(tracking.job_of(config, "generate"), "x") == ""
    for _ in range(2):
        with tracking.run(config, "train", {}) as run:
            run.metrics({"score": 0.5})
    assert time.monotonic() - begin < 6
    assert "no answer from http://127.0.0.1" in caplog.text
    files = list((tmp_path / "mlflow-unsent").glob("*.jsonl"))
    assert len(files) == 2
    assert all('"score", 0.5' in file.read_text(encoding="utf-8") for file in files)


@pytest.mark.slow
def test_a_server_that_was_silent_gets_less_time_until_it_answers() -> None:
    uri = "http://host"
    with pytest.raises(TimeoutError, match=r"http://host within 0\.6 s"):
        within(uri, lambda: time.sleep(2))
    with pytest.raises(TimeoutError, match=r"within 0\.3 s"):
        within(uri, lambda: time.sleep(2))
    assert within(uri, lambda: 7) == 7
    with pytest.raises(TimeoutError, match=r"within 0\.6 s"):
        within(uri, lambda: time.sleep(2))


def test_an_error_is_raised_where_the_result_is_awaited() -> None:
    def fail() -> None:
        raise ValueError("x")

    for uri in ("http://host", "sqlite:///a.db", ""):
        with pytest.raises(ValueError, match="x"):
            within(uri, fail)


@pytest.mark.slow
def test_a_failure_is_one_warning_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("cannot reach http://me:hush@host?sig=hush [SQL: select 1]")

    question = Question()
    for _ in range(2):
        assert attempt.attempt(question, "", fail) is None
    assert len(caplog.records) == 1
    assert "http://me:***@host?sig=***" in caplog.text
    assert "SQL" not in caplog.text
    assert "hush" not in caplog.text


@pytest.mark.parametrize("kind", ["text", "rows", "file", "figure"])
def test_what_cannot_be_written_is_a_warning(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    run = Run()
    run.unsent = Unsent({"uri": "", "tags": {"key": "x"}})
    (tmp_path / "x.txt").write_text("x", encoding="utf-8")
    calls = {
        "text": lambda: run.text("x", "x.txt"),
        "rows": lambda: run.rows([{"id": "1"}], "x.txt"),
        "file": lambda: run.file(tmp_path / "x.txt"),
        "figure": lambda: run.figure(tracking.confusion(["a"], ["a"], ["a"]), "x.svg"),
    }
    calls[kind]()
    assert "cannot record" in caplog.text
    assert "x." in caplog.text
