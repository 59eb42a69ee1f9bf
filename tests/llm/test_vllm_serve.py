"""`vllm serve` started for a job, with a stand-in for vllm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from japagen.config.error import UserError
from japagen.config.schema import CONF
from japagen.config.secret import hidden
from japagen.llm import engine_cache, vllm_serve
from tests.conftest import Compose
from tests.loopback import make, small

ROOT = CONF.parent

STAND_IN = """
import json, os, pathlib, random, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from japagen.llm import fake
words = sys.argv[1:]
print("stand-in", *words, flush=True)
if "--die" in words:
    sys.exit("CUDA out of memory")
counter = iter(range(10**9))
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def reply(self, status, data):
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
    def do_GET(self):
        self.reply(503 if "--never" in words else 200, {})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        n = next(counter)
        time.sleep(0.2 if "--slow" in words else 0)
        if "--fragile" in words and n == 3:
            print("CUDA error: device-side assert", flush=True)
            os._exit(1)
        if self.headers["Authorization"] != "Bearer " + os.environ["VLLM_API_KEY"]:
            return self.reply(401, {})
        choice = {"message": {"content": fake.sentence(random.Random(n))}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        self.reply(200, {"choices": [choice], "usage": usage})
pathlib.Path(words[1]).write_text(str(os.getpid()))
ThreadingHTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Overrides that start a stand-in for `vllm serve`; it writes its process id to llm.model."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN, encoding="utf-8")
    yield [
        f"llm.model={tmp_path / 'pid'}",
        "llm.serve=true",
        f"'+llm.engine.command=\"{sys.executable} {script}\"'".strip("'"),
    ]
    engine_cache.CACHE.close()


@pytest.mark.slow
def test_the_next_job_uses_the_running_server(
    composed: Compose, served: list[str], tmp_path: Path
) -> None:
    options = [
        *served,
        "+llm.engine.max_model_len=512",
        "+llm.engine.enforce_eager=true",
        "+llm.engine.rope={a: 1}",
    ]
    before = make(composed, "http://unused", *options)
    kept = engine_cache.CACHE.engine
    assert kept is not None
    assert make(composed, "http://unused", *options, "seed=1") != before
    assert engine_cache.CACHE.engine is kept
    words = kept.log.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert f"stand-in serve {tmp_path / 'pid'} --host 127.0.0.1 --port" in words
    assert '--max-model-len 512 --enforce-eager --rope {"a": 1}' in words
    make(composed, "http://unused", *served, "+llm.engine.max_model_len=1024", "seed=2")
    assert engine_cache.CACHE.engine is not kept
    assert not kept.alive()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "+llm.engine.die=true",
            r"stopped before it could answer.*server\.log:.*CUDA out of memory",
        ),
        (
            "+llm.engine.never=true",
            r"not ready after 1 s\. .*\+llm\.engine\.start_timeout=2.*server\.log",
        ),
        ("+llm.engine.fragile=true", r"started for this job stopped.*device-side assert"),
    ],
)
def test_a_server_that_fails_shows_the_end_of_its_log(
    composed: Compose,
    served: list[str],
    quick: list[tuple[int, float | None]],
    option: str,
    message: str,
) -> None:
    assert not quick
    limit = "1" if "never" in option else "60"
    with pytest.raises(UserError, match=f"(?s){message}"):
        make(composed, "http://unused", *served, option, f"+llm.engine.start_timeout={limit}")
    assert engine_cache.CACHE.engine is None or not engine_cache.CACHE.engine.alive()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_the_job_however_it_ends(
    served: list[str], tmp_path: Path, how: signal.Signals
) -> None:
    overrides = [
        *small(
            "http://unused", *served, "+llm.engine.slow=true", "num_per_label=1000", "logger=none"
        )
    ]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "generate.py"), *overrides],
        cwd=tmp_path,
        start_new_session=True,
    ) as job:
        path = tmp_path / "pid"
        wait_until(
            lambda: any(
                "texts" in text.read_text(encoding="utf-8")
                for text in tmp_path.rglob("journal.jsonl")
            )
        )
        pid = int(path.read_text())
        os.killpg(job.pid, how)  # as a terminal does for Ctrl-C
        job.wait(30)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert job.returncode != 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 seconds"
        time.sleep(0.05)


@pytest.mark.slow
def test_no_token_is_in_the_log_line_or_among_the_arguments(
    served: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pid, command = (served[0].partition("=")[2], served[2].partition("=")[2].strip("'\""))
    secrets = {
        "api_key": "gateway-2f9c81",
        "hf_token": "readonly-77aa10",
        "ssl_password": "p4ssw0rd",
    }
    serving = vllm_serve.Serving(pid, {"command": command, **secrets, "max_model_len": 64})
    try:
        arguments = Path(f"/proc/{pid_of(pid)}/cmdline").read_bytes().decode()
        environment = Path(f"/proc/{pid_of(pid)}/environ").read_bytes().decode()
        assert serving.key == secrets["api_key"]
    finally:
        serving.close()
    assert not [value for value in secrets.values() if value in caplog.text + serving.tail()]
    assert "--ssl-password '***' --max-model-len 64" in caplog.text
    assert not {secrets["api_key"], secrets["hf_token"]} & set(arguments.split("\0"))
    assert f"HF_TOKEN={secrets['hf_token']}\0" in environment


def pid_of(path: str) -> int:
    return int(Path(path).read_text())


@pytest.mark.parametrize(
    ("words", "logged"),
    [
        (["--api-key", "aaa", "bbb", "--port", "1"], "--api-key '***' '***' --port 1"),
        (["--hf-token=aaa", "--tokenizer", "t"], "'--hf-token=***' --tokenizer t"),
        (["--max-num-batched-tokens", "5"], "--max-num-batched-tokens 5"),
    ],
)
def test_values_of_secret_flags_are_not_shown(words: list[str], logged: str) -> None:
    assert vllm_serve.shown(words) == logged
    assert "aaa" not in hidden(logged)


@pytest.mark.parametrize("options", [{"port": "x"}, {"start_timeout": "soon"}])
def test_an_option_that_is_no_number_is_named(options: dict[str, str]) -> None:
    with pytest.raises(UserError, match=f"not a number.*{next(iter(options))}"):
        vllm_serve.Serving("m", options)
