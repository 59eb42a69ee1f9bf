"""Requests to an ASGI application in this process, without a server or a port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from japagen.config.task import Task
from japagen.service.app import Served, application
from japagen.service.limit import Limits

ONE = Task(name="one", inputs=["sentence"], labels=["good", "bad"])
PAIR = Task(name="pair", inputs=["sentence1", "sentence2"], labels=["a", "b", "c"])
LEVELS = Task(name="levels", kind="regression", inputs=["sentence"], labels=["0", "5"])

T = TypeVar("T")


@dataclass
class Answer:
    """An answer: its status, its headers, and its body as JSON."""

    status: int
    headers: Mapping[str, str]
    json: Any


@dataclass
class Client:
    """Sends requests; `received` counts the parts of bodies that were read."""

    app: Any
    received: int = 0

    async def get(self, path: str, **headers: str) -> Answer:
        """Send GET."""
        return await self.send("GET", path, [], headers)

    async def ask(self, *texts: Any, **headers: str) -> Answer:
        """Send POST /predict with texts."""
        return await self.post(json.dumps({"texts": texts}).encode(), **headers)

    async def post(self, body: bytes, **headers: str) -> Answer:
        """Send POST /predict with a body and its length."""
        length = {"content-length": str(len(body)), **headers}
        return await self.send("POST", "/predict", [body], length)

    async def send(
        self, method: str, path: str, parts: Sequence[bytes], headers: Mapping[str, str]
    ) -> Answer:
        """Send a request whose body arrives in parts."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        left, sent = list(parts), []

        async def receive() -> dict[str, Any]:
            self.received += 1
            part = left.pop(0) if left else b""
            return {"type": "http.request", "body": part, "more_body": bool(left)}

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in sent)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        shown = json.loads(body) if found["content-type"] == "application/json" else body.decode()
        return Answer(sent[0]["status"], found, shown)


class Fake:
    """A model that answers with a text's length, or fails on texts with the word `fail`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.batches = seconds, list[list[str]]()

    def __call__(self, examples: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        import time

        self.batches.append(["|".join(texts) for texts in examples])
        time.sleep(self.seconds)
        if any("fail" in text for texts in examples for text in texts):
            raise RuntimeError(f"out of memory\n{'x' * 1000}")
        return [{"predicted": str(sum(map(len, texts))), "probability": 0.5} for texts in examples]


def serving(
    session: Callable[[Client], Awaitable[T]],
    predict: Any,
    task: Task = ONE,
    key: str = "",
    **limits: Any,
) -> T:
    """Run `session` with a client of an application that has started; what it returns."""

    async def run() -> T:
        app = application(Served(task, "name", "torch", predict), Limits(**limits), key)
        async with app.router.lifespan_context(app):
            return await asyncio.wait_for(session(Client(app)), 60)

    return asyncio.run(run())
