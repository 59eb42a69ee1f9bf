"""A scripted OpenAI-compatible server on this machine, and requests to it."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.schema import LLM, GenerateConfig
from japagen.dataset import identity
from japagen.dataset.table import read
from japagen.llm import fake
from tests.conftest import Compose

Script = Callable[["Loopback", int, web.Request], Awaitable["web.StreamResponse | None"]]


class Loopback:
    """Serves in a thread. `script(self, n, request)` answers the nth request, from 0.

    Its result None stands for a good reply.
    """

    def __init__(self, script: Script) -> None:
        self.script, self.count, self.down = script, 0, False
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.times: list[float] = []
        self.paths: list[str] = []  # with their queries
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Loopback:
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.begin(), self.loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    @property
    def url(self) -> str:
        """The value of llm.base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def begin(self) -> None:
        """Listen on a free port, or on the one from before."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_post("/v1/completions", self.answer)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/deployments/m/chat/completions", self.answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self.runner.addresses[0][1]

    async def restart(self, seconds: float) -> None:
        """Stop for some seconds: connections are cut, and new ones are refused."""
        self.down = True
        await asyncio.gather(*[site.stop() for site in list(self.runner.sites)])
        await asyncio.sleep(seconds)
        self.down = False
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The answer of the script, or a good reply."""
        n, self.count = self.count, self.count + 1
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        self.times.append(self.loop.time())
        self.paths.append(request.path_qs)
        if self.down:
            return cut(request)
        return await self.script(self, n, request) or good(n)

    async def models(self, _: web.Request) -> web.Response:
        """The names of two models."""
        return web.json_response({"data": [{"id": "swallow-8b"}, {"id": "qwen3-8b"}]})


def good(n: int, text: str = "", **changes: Any) -> web.Response:
    """A reply with `text`, or a sentence that depends on `n`; `changes` replace its fields."""
    text = text or fake.sentence(random.Random(n))
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "text": text,
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    return web.json_response(
        {"choices": [choice], "usage": usage, **changes},
        dumps=lambda data: json.dumps(data, ensure_ascii=False),
    )


def cut(request: web.Request) -> web.StreamResponse:
    """Reset the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def healthy(_server: Loopback, _n: int, _request: web.Request) -> None:
    """Every reply is good."""


def small(url: str, *overrides: str) -> list[str]:
    """Options for a dataset of eight single sentences from the server at `url`."""
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
    """Generate the small dataset and return its examples; none may be missing."""
    cfg = composed("generate", *small(url, *overrides))
    generate.run(cfg)
    config = check(cfg, GenerateConfig)
    examples = list(read(identity.of(config)))
    assert {y: sum(e.label == y for e in examples) for y in config.task.labels} == dict.fromkeys(
        config.task.labels, 4
    )
    return examples


def ask(url: str, request: llm.Request, **changes: Any) -> llm.Completion:
    """Send one request to an engine for `url`, without retries. `changes`: fields of LLM."""

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
    """A script that answers the first `count` requests with `fault`."""

    async def script(_server: Loopback, n: int, request: web.Request) -> web.StreamResponse | None:
        return fault(n, request) if n < count else None

    return script
