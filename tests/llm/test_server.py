"""The HTTP engine against a scripted server on this machine: every fault a server can show, and `vllm serve` of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from omegaconf import OmegaConf

from japagen import generate, llm
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, LLM, GenerateConfig
from japagen.dataset import identity
from japagen.dataset.table import read
from japagen.llm import engine_cache, http_error, retry
from tests.conftest import Compose
from tests.loopback import Loopback, Script, cut, good

ROOT = CONF.parent
KEY = "sk-test-5f0c2a77e1b94d3c"


async def healthy(_server: Loopback, _n: int, _request: web.Request) -> None:
    """Every reply is good."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float | None]]:
    """No waiting between tries; returns what the waits were asked for."""
    asked: list[tuple[int, float | None]] = []

    def pause(failed: int, retry_after: float | None) -> float:
        asked.append((failed, retry_after))
        return 0.02

    monkeypatch.setattr(retry, "pause", pause)
    return asked


def small(url: str, *overrides: str) -> list[str]:
    """Eight single sentences from the server at `url`."""
    task = ["task=jcola", "task.clean.max_chars=500", "num_per_label=4"]
    return [
        *task,
        "llm=server",
        "llm.model=swallow-8b",
        f"llm.base_url={url}",
        "llm.concurrency=4",
        *overrides,
    ]


def make(composed: Compose, url: str, *overrides: str) -> list[Any]:
    """Generate the small dataset, which must be whole; its examples."""
    cfg = composed("generate", *small(url, *overrides))
    generate.run(cfg)
    config = check(cfg, GenerateConfig)
    examples = list(read(identity.of(config)))
    assert {y: sum(e.label == y for e in examples) for y in config.task.labels} == dict.fromkeys(
        config.task.labels, 4
    )
    return examples


def ask(url: str, request: llm.Request, **changes: Any) -> llm.Completion:
    """One request straight to the engine."""

    async def once() -> llm.Completion:
        engine = llm.load(
            LLM(
                **{
                    "_target_": "japagen.llm.server.Server",
                    "name": "test",
                    "model": "swallow-8b",
                    "base_url": url,
                    **changes,
                }
            )
        )
        try:
            return await engine.complete(request)
        finally:
            await engine.close()

    return asyncio.run(once())


def first(count: int, fault: Callable[[int, web.Request], web.StreamResponse]) -> Script:
    """A script that shows `fault` for the first `count` requests."""

    async def script(_server: Loopback, n: int, request: web.Request) -> web.StreamResponse | None:
        return fault(n, request) if n < count else None

    return script


def half(n: int, _request: web.Request) -> web.StreamResponse:
    return web.Response(body=(good(n).body or b"")[:60], content_type="application/json")  # type: ignore[index]


PASSING: dict[str, Callable[[int, web.Request], web.StreamResponse]] = {
    "500": lambda _n, _request: web.json_response(
        {"error": {"message": "out of luck"}}, status=500
    ),
    "503 in HTML": lambda _n, _request: web.Response(text="<html>Bad gateway</html>", status=503),
    "reset": lambda _n, request: cut(request),
    "half a JSON": half,
    "no choices": lambda n, _request: good(n, choices=[]),
    "no usage": lambda n, _request: good(n, usage=None),
    "an error with status 200": lambda _n, _request: web.json_response(
        {"error": {"message": "provider is down"}}
    ),
    "429 without a time": lambda _n, _request: web.json_response(
        {"error": "slow down"}, status=429, headers={"retry-after-ms": "20"}
    ),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again(
    composed: Compose, quick: list[tuple[int, float | None]], name: str
) -> None:
    with Loopback(first(3, PASSING[name])) as loopback:
        make(composed, loopback.url)
    assert len(quick) == 3
    assert loopback.count == 8 + 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("500", "answered 500: out of luck"),
        ("503 in HTML", "answered 503: <html>Bad gateway</html>"),
        ("half a JSON", r"the reply is no whole JSON \(60 bytes\)"),
        ("reset", r"the connection broke \(Server"),
        ("no choices", "the reply has no choices"),
        ("no usage", "the reply has no usage"),
        ("an error with status 200", "the reply is an error: .*provider is down"),
    ],
)
def test_a_fault_is_named_in_short(name: str, message: str) -> None:
    with (
        Loopback(first(1, PASSING[name])) as loopback,
        pytest.raises(llm.EngineError, match=message),
    ):
        ask(loopback.url, llm.Request(messages=({"role": "user", "content": "書いてください。"},)))


def test_a_lasting_fault_ends_the_job(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    with (
        Loopback(first(10**6, PASSING["500"])) as loopback,
        pytest.raises(UserError, match=r"(?s)failed 5 times .*out of luck.*same command"),
    ):
        make(composed, loopback.url)
    assert {retry_after for _, retry_after in quick} == {None}


def test_a_server_that_is_down_at_the_start_is_named(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    with Loopback(healthy) as loopback:
        url = loopback.url
    with pytest.raises(
        UserError, match=rf"(?s){url} cannot be reached.*vllm serve swallow-8b.*llm.serve=true"
    ):
        make(composed, url)
    assert {retry_after for _, retry_after in quick} == {None}


def test_a_server_that_goes_and_comes_back(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    tasks = []

    async def script(loopback: Loopback, n: int, request: web.Request) -> web.StreamResponse | None:
        if n == 3:
            tasks.append(asyncio.ensure_future(loopback.restart(0.5)))
            return cut(request)
        return None

    with Loopback(script) as loopback:
        make(composed, loopback.url)
    assert http_error.DOWN_PAUSE in {retry_after for _, retry_after in quick}


def test_a_slow_server_is_given_up_after_the_timeout(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    async def script(_loopback: Loopback, n: int, _request: web.Request) -> None:
        await asyncio.sleep(2 if n == 0 else 0)

    with Loopback(script) as loopback:
        make(composed, loopback.url, "llm.engine.timeout=0.2")
    assert len(quick) == 1


def test_after_429_nobody_asks_before_the_time_is_over(composed: Compose) -> None:
    async def script(
        _loopback: Loopback, n: int, _request: web.Request
    ) -> web.StreamResponse | None:
        return web.json_response({}, status=429, headers={"Retry-After": "1"}) if n == 4 else None

    with Loopback(script) as loopback:
        make(composed, loopback.url)
    in_flight = 4
    assert all(later - loopback.times[4] > 0.9 for later in loopback.times[4 + in_flight :])


def test_replies_in_the_wrong_language_for_ever_are_a_shortfall(composed: Compose) -> None:
    async def script(_loopback: Loopback, n: int, _request: web.Request) -> web.StreamResponse:
        return good(n, f"This is sentence number {n}.")

    with (
        Loopback(script) as loopback,
        pytest.raises(
            UserError,
            match=r"(?s)8 of 8 examples are missing after 3 attempts each:.*not_japanese 12",
        ),
    ):
        make(composed, loopback.url, "max_attempts=3")
    assert loopback.count == 24


REFUSALS = {
    400: (
        {"error": {"message": "Unsupported parameter: seed"}},
        r"Unsupported parameter: seed.*a null there leaves out a field",
    ),
    401: (
        {"error": {"message": f"Incorrect API key provided: {KEY}."}},
        r"export TEST_KEY=\.\.\. with a valid one",
    ),
    402: ({"error": {"message": "no credit"}}, r"no credit.*account of the key in TEST_KEY"),
    403: (
        {"error": {"message": f"{KEY} may not use it"}},
        r"\*\*\* may not use it.*account of the key in TEST_KEY",
    ),
    404: (
        {"error": {"message": "The model `swallow-8` does not exist."}},
        r"did you mean 'swallow-8b'\?; it has: qwen3-8b, swallow-8b",
    ),
    429: (
        {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}},
        "exceeded your quota.*use and spend",
    ),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_ends_the_job_and_says_what_to_do(
    composed: Compose,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """And the key stands in no message, traceback, log or file, though the server repeats it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEST_KEY", KEY)
    answer, expected = REFUSALS[status]

    async def script(
        _loopback: Loopback, n: int, _request: web.Request
    ) -> web.StreamResponse | None:
        return web.json_response(answer, status=status) if n > 2 else None

    with (
        Loopback(script) as loopback,
        pytest.raises(UserError, match=f"(?s)answered {status}.*{expected}") as caught,
    ):
        make(composed, loopback.url, "llm.api_key_env=TEST_KEY", "llm.model=swallow-8")
    assert loopback.count <= 7
    assert {headers["Authorization"] for headers in loopback.headers} == {f"Bearer {KEY}"}
    shown = "".join(
        [
            *traceback.format_exception(caught.value),
            repr(caught.value),
            *capfd.readouterr(),
            caplog.text,
        ]
    )
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 1
    assert not [text for text in [shown, *files] if KEY in text or KEY[:10] in text]


def test_a_key_is_read_from_the_environment_alone(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(
        UserError,
        match=r"llm=openai needs an API key in the environment variable OPENAI_API_KEY.*export OPENAI_API_KEY=",
    ):
        generate.run(composed("generate", "llm=openai"))
    with Loopback(healthy) as loopback, pytest.raises(UserError, match="has a password in it"):
        make(composed, loopback.url.replace("//", "//user:password@"))


def test_the_body_is_what_the_yaml_says() -> None:
    sampling = {
        "temperature": 0.5,
        "stop": ["。"],
        "structured_outputs": {"choice": ["a"]},
        "logit_bias": {"5": -1.0},
    }
    with Loopback(healthy) as loopback:
        message = {"role": "user", "content": "書いてください。"}
        reply = ask(
            loopback.url, llm.Request(messages=(message,), seed=7, stop=("\n",)), sampling=sampling
        )
        ask(
            loopback.url,
            llm.Request(text="むかし", seed=8, stop=("\n",), temperature=0.0),
            chat=False,
        )
        ask(
            loopback.url,
            llm.Request(text="むかし", seed=8, stop=("\n",)),
            chat=False,
            sampling={"seed": None, "stop": None},
        )
        ask(
            loopback.url,
            llm.Request(messages=(message,), schema={"type": "object"}),
            engine={"headers": {"X-Team": "a"}},
        )
    assert (reply.finish, reply.prompt_tokens, reply.completion_tokens) == ("stop", 10, 20)
    chat, base, bare, joint = loopback.bodies
    assert chat == {
        "model": "swallow-8b",
        "seed": 7,
        **sampling,
        "stop": ["\n", "。"],
        "messages": [message],
    }
    assert base == {
        "model": "swallow-8b",
        "seed": 8,
        "stop": ["\n"],
        "prompt": "むかし",
        "temperature": 0.0,
    }
    assert bare == {"model": "swallow-8b", "prompt": "むかし"}
    assert joint["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert loopback.headers[3]["X-Team"] == "a"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"engine": {"timeuot": 3}},
            "llm.engine.timeuot is not an option of llm=test; did you mean 'timeout'",
        ),
        ({"base_url": None}, "give the server's address"),
        ({"base_url": "127.0.0.1:8000"}, "give the server's address"),
    ],
)
def test_a_wrong_option_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ask("http://127.0.0.1:1/v1", llm.Request(text="a"), **changes)


def test_a_wrong_path_is_named() -> None:
    with (
        Loopback(healthy) as loopback,
        pytest.raises(UserError, match=r"answered 404.*usually ends in /v1"),
    ):
        ask(loopback.url.removesuffix("/v1"), llm.Request(text="a"))


def test_the_likeliest_first_tokens_in_both_forms() -> None:
    message = {"role": "user", "content": "番号で。"}
    tokens = [
        {"token": "1", "logprob": -0.1, "bytes": [49]},
        {"token": "2", "logprob": -2.5, "bytes": [50]},
    ]
    chat = {"content": [{"token": "1", "logprob": -0.1, "top_logprobs": tokens}]}
    plain = {"tokens": ["1"], "token_logprobs": [-0.1], "top_logprobs": [{"1": -0.1, "2": -2.5}]}

    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        choice = {
            "message": {"content": "1"},
            "text": "1",
            "finish_reason": "stop",
            "logprobs": (chat, plain, None)[n],
        }
        return good(n, choices=[choice])

    with Loopback(script) as loopback:
        replies = [
            ask(loopback.url, llm.Request(messages=(message,), top=5)),
            ask(loopback.url, llm.Request(text="番号", top=5), chat=False),
        ]
        assert ask(loopback.url, llm.Request(messages=(message,), top=5)).top == {}
    assert all(reply.top == pytest.approx({"1": -0.1, "2": -2.5}) for reply in replies)
    assert (
        loopback.bodies[0]["logprobs"],
        loopback.bodies[0]["top_logprobs"],
        loopback.bodies[1]["logprobs"],
    ) == (True, 5, 5)


def test_when_to_come_back() -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=30), usegmt=True)
    assert 25 < (http_error.retry_after({"Retry-After": later}) or 0) <= 30
    assert http_error.retry_after({"Retry-After": "7"}) == 7
    assert http_error.retry_after({"retry-after-ms": "1500", "Retry-After": "9"}) == 1.5
    assert http_error.retry_after({}) is http_error.retry_after({"Retry-After": "soon"}) is None
    assert 0.75 <= retry.pause(1, None) <= 1.25
    assert 3 <= retry.pause(3, None) <= 5
    assert retry.pause(60, None) <= 75
    assert 7 <= retry.pause(1, 7) <= 8.75
    assert retry.pause(1, 1e9) <= 750


def test_every_ready_model_is_in_the_documentation() -> None:
    table = (ROOT / "docs" / "add_an_llm.md").read_text(encoding="utf-8")
    ready = [OmegaConf.load(path) for path in (ROOT / "conf" / "llm").glob("*.yaml")]
    shown = [f"| `{yaml.name}` | {yaml.model}" for yaml in ready if "defaults" in yaml]
    assert len(shown) > 10
    assert [line for line in shown if line not in table] == []


def test_what_is_not_installed_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r'llm=big runs in vLLM.*pip install -e "\.\[vllm\]"'):
        llm.load(LLM("japagen.llm.vllm.VLLM", "big", "some/model"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r'there is no vllm: pip install -e "\.\[vllm\]".*llm\.base_url='
    ):
        llm.load(LLM("japagen.llm.server.Server", "big", "some/model", serve=True))
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(UserError, match=r'llm=big needs aiohttp.*pip install -e "\.\[openai\]"'):
        llm.load(LLM("japagen.llm.server.Server", "big", "some/model"))


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
        self.reply(200, {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
pathlib.Path(words[1]).write_text(str(os.getpid()))
ThreadingHTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Overrides that have a stand-in for `vllm serve` started; its model's path is where it writes its process id."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN, encoding="utf-8")
    yield [
        f"llm.model={tmp_path / 'pid'}",
        "llm.serve=true",
        f"'+llm.engine.command=\"{sys.executable} {script}\"'".strip("'"),
    ]
    engine_cache.CACHE.close()


def test_a_server_of_its_own_serves_the_next_job_too(
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
            r"not ready after 1 s \(llm\.engine\.start_timeout\).*server\.log",
        ),
        ("+llm.engine.fragile=true", r"started for this job stopped.*device-side assert"),
    ],
)
def test_a_server_of_its_own_that_fails_shows_its_log(
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
def test_however_the_job_ends_its_server_ends_too(
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
