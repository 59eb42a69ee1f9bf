"""A scripted OpenAI-compatible server on this machine, for tests of the HTTP engine."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from japagen.llm import fake

Script = Callable[["Loopback", int, web.Request], Awaitable["web.StreamResponse | None"]]


class Loopback:
    """Serves in a thread. `script(self, n, request)` makes the answer to the nth request (from 0); None is a good reply."""

    def __init__(self, script: Script) -> None:
        self.script, self.count, self.down = script, 0, False
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.times: list[float] = []
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
        """What llm.base_url must be."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def begin(self) -> None:
        """Listen on a free port, or on the one from before."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        app.router.add_post("/v1/completions", self.answer)
        app.router.add_get("/v1/models", self.models)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self.runner.addresses[0][1]

    async def restart(self, seconds: float) -> None:
        """Be gone for a while: what is connected is cut, and what comes is refused."""
        self.down = True
        await asyncio.gather(*[site.stop() for site in list(self.runner.sites)])
        await asyncio.sleep(seconds)
        self.down = False
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """What the script says, or a good reply."""
        n, self.count = self.count, self.count + 1
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        self.times.append(self.loop.time())
        if self.down:
            return cut(request)
        return await self.script(self, n, request) or good(n)

    async def models(self, _: web.Request) -> web.Response:
        """Two names."""
        return web.json_response({"data": [{"id": "swallow-8b"}, {"id": "qwen3-8b"}]})


def good(n: int, text: str = "", **changes: Any) -> web.Response:
    """A fluent sentence, another for each `n`, or `text`; with `changes` in the reply."""
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
