"""Requests in flight: each is tried again where the engine fails, and the first that fails for good stops them all."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections.abc import Awaitable, Callable

from japagen import llm
from japagen.config.error import UserError

log = logging.getLogger(__name__)

TRIES = 5  # of one request whose engine fails, with pauses of 1, 2, 4 ... seconds between them
WAITS = 100  # of one request where the engine says how long to wait: a rate limit, a server that starts again


async def in_flight(engine: llm.Engine, number: int, worker: Callable[[], Awaitable[None]]) -> None:
    """Run `number` workers until all are done; the first failure stops them. Closes the engine."""
    workers = [asyncio.ensure_future(worker()) for _ in range(number)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await engine.close()


async def answer(engine: llm.Engine, request: llm.Request) -> llm.Completion:
    """The engine's completion; a request that fails is tried TRIES times, and WAITS times where the engine says when to come back."""
    failed = waited = 0
    while True:
        try:
            return await engine.complete(request)
        except llm.EngineError as error:
            failed, waited = (
                (failed + 1, waited) if error.retry_after is None else (failed, waited + 1)
            )
            if failed == TRIES or waited == WAITS:
                raise UserError(
                    f"The LLM failed {failed + waited} times on one request: {error}\n"
                    "All replies so far are kept; mend the cause and type the same command."
                ) from error
            tell(str(error), int(time.monotonic() / 10))
            await asyncio.sleep(pause(failed, error.retry_after))


@functools.lru_cache(maxsize=64)
def tell(reason: str, _period: int) -> None:
    """Log a failure; cached, so that all requests in flight tell the same one once in each period."""
    log.warning("the LLM failed, trying again: %s", reason)


def pause(failed: int, retry_after: float | None) -> float:
    """Seconds until the next try: as long as the engine asks for, else 1, 2, 4 ...; jittered, so that not all come back at once."""
    if retry_after is None:
        return min(60.0, 2.0 ** (failed - 1)) * random.uniform(0.75, 1.25)
    return min(600.0, retry_after) * random.uniform(1.0, 1.25)
