"""Run asynchronous code from code that is not, also in a notebook, which has a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`. If a loop runs in this thread, `work` runs in another thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    tasks = list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]]()

    async def known() -> T:
        if (task := asyncio.current_task()) is not None:
            tasks.append((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(asyncio.run, known())
        try:
            return result.result()
        except KeyboardInterrupt:
            # The end of the block waits until `work` has closed what it opened.
            for loop, task in tasks:
                loop.call_soon_threadsafe(task.cancel)
            raise
