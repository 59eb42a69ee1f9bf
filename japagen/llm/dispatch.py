"""Keep a number of requests in flight; the first failure stops them all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from japagen.llm.engine import Engine

log = logging.getLogger(__name__)


async def in_flight(engine: Engine, number: int, worker: Callable[[], Awaitable[None]]) -> None:
    """Run `number` workers until all are done; the first failure cancels them. Closes `engine`."""
    workers = [asyncio.ensure_future(worker()) for _ in range(number)]
    try:
        await asyncio.gather(*workers)
    except asyncio.CancelledError:  # Ctrl+C
        log.warning("stopping…")  # at once: an engine may need seconds to end
        raise
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await engine.close()
