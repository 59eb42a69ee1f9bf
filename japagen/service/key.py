"""The API key: where it comes from, and the check of a request."""

from __future__ import annotations

import hmac
import os

from japagen.service.drain import Application, Message, Receive, Send

VARIABLE = "JAPAGEN_API_KEY"
OPEN = "/health"  # needs no key


def from_environment() -> str:
    """Return the key without spaces around it, or an empty string if there is none."""
    return os.environ.get(VARIABLE, "").strip()


class Guard:
    """An ASGI middleware: a request without the key gets 401; its body is not used."""

    def __init__(self, app: Application, key: str) -> None:
        self.app, self.key = app, key.encode("utf-8", "surrogateescape")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != OPEN and not self.fits(scope):
            await refuse(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def fits(self, scope: Message) -> bool:
        """Return whether a request has the header `Authorization: Bearer KEY`."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        # Takes the same time for every wrong key of one length.
        return hmac.compare_digest(key.strip(), self.key) and scheme.lower() == b"bearer"


async def refuse(scope: Message, receive: Receive, send: Send) -> None:
    """Answer 401."""
    from starlette.responses import JSONResponse

    detail = "the API key is missing or wrong. Send the header Authorization: Bearer KEY"
    answer = JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
    await answer(scope, receive, send)
