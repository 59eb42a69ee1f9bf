"""Read the rest of a refused body, so that the client can receive the reason.

A server that closes a connection while bytes arrive resets it, and the client loses the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

SECONDS = 2.0


class Drain:
    """An ASGI middleware: before an error is sent, drop what is left of the body.

    It takes at most SECONDS and keeps nothing.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # A client that asked for leave to send its body (Expect: 100-continue) sends none before
        # the first receive().
        expects = any(name == b"expect" for name, _ in scope["headers"])
        state = {"ended": expects}

        async def receiving() -> Message:
            message = await receive()
            state["ended"] = not message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await dropped(receiving, state)
            await send(message)

        await self.app(scope, receiving, sending)


async def dropped(receive: Receive, state: dict[str, bool]) -> None:
    """Receive until the body has ended or the time is over."""
    end = asyncio.get_running_loop().time() + SECONDS
    while not state["ended"] and (left := end - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.wait_for(receive(), left)
        except asyncio.TimeoutError:
            return
