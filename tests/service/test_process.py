"""The whole service as a process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from japagen.student.predictor import Predictor
from tests.commands import ROOT
from tests.service.asgi import ONE, PAIR
from tests.student.test_labeller import saved

KEY = "s3cret-s3cret"


@contextmanager
def service(folder: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`japagen serve` on a free port; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "japagen", "serve", str(folder), "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
        env={**os.environ, "JAPAGEN_API_KEY": "", "PYTHONPATH": str(ROOT), **environment},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def post(port: int, body: bytes, path: str = "/predict", **headers: str) -> tuple[int, Any]:
    """The status and the JSON of a request."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def started(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """The port, and what the service printed at its start."""
    assert process.stdout
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert lines[1].startswith("curl "), process.stderr and process.stderr.read()
    return int(lines[1].partition("/predict")[0].rpartition(":")[2]), lines


@pytest.mark.slow
def test_the_process_answers_twenty_threads_and_ends_with_sigterm(tmp_path: Path) -> None:
    folder = saved(tmp_path / "student", PAIR)
    pairs = [["犬が走る。" * (n % 5 + 1), f"猫が{n}匹いる。"] for n in range(200)]
    bodies = [json.dumps({"texts": [pair]}).encode() for pair in pairs]
    with service(folder, JAPAGEN_API_KEY=KEY) as process:
        port, lines = started(process)
        assert "serve: task pair (a, b, c), backend torch, at http://127.0.0.1:" in lines[0]
        assert '-H "Authorization: Bearer $JAPAGEN_API_KEY" -d' in lines[1]
        right = {"Authorization": f"Bearer {KEY}"}
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda body: post(port, body, **right), bodies))
        large = b"x" * 20_000_000
        assert post(port, large, **right)[0] == 413
        assert post(port, large)[0] == 401
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")
    expected = Predictor(folder, "torch").predict(pairs)
    for (status, answer), alone in zip(answers, expected, strict=True):
        assert status == 200, answer
        (found,) = answer["predictions"]
        assert found["predicted"] == alone["predicted"]
        assert found["probability"] == pytest.approx(alone["probability"], abs=1e-4)


@pytest.mark.slow
def test_requests_in_flight_are_answered_after_a_signal(tmp_path: Path) -> None:
    folder = saved(tmp_path / "student", ONE)
    body = json.dumps({"texts": ["犬が走る。"]}).encode()
    with service(folder, "--wait-ms", "3000", "--log") as process:
        port, _ = started(process)
        with ThreadPoolExecutor(1) as threads:
            asking = threads.submit(post, port, body)
            with pytest.raises(TimeoutError):
                asking.exception(timeout=1)
            process.send_signal(signal.SIGINT)
            assert asking.result(60)[0] == 200
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "POST /predict" in rest
    assert "Traceback" not in errors
