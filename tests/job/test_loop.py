"""Asynchronous work, from plain code and from code that a loop runs."""

from __future__ import annotations

import asyncio
import threading
from typing import NoReturn

import pytest

from japagen.job import loop


async def where() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


async def failing() -> NoReturn:
    await asyncio.sleep(0)
    raise ValueError("x")


def test_plain_code_runs_it_in_its_own_thread() -> None:
    assert loop.run(where()) == threading.current_thread().name
    with pytest.raises(ValueError, match="x"):
        loop.run(failing())


def test_in_a_running_loop_it_runs_in_another_thread() -> None:
    async def notebook() -> str:
        with pytest.raises(ValueError, match="x"):
            loop.run(failing())
        return loop.run(where())

    assert asyncio.run(notebook()) != threading.current_thread().name


def test_an_interrupt_in_a_notebook_stops_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = threading.Event(), list[str]()

    async def work() -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("closed")
            raise

    class Interrupted(loop.ThreadPoolExecutor):
        def submit(self, *given: object) -> object:  # type: ignore[override]
            future = super().submit(*given)  # type: ignore[arg-type]

            def result() -> None:
                assert started.wait(20)
                raise KeyboardInterrupt

            monkeypatch.setattr(future, "result", result)
            return future

    monkeypatch.setattr(loop, "ThreadPoolExecutor", Interrupted)

    async def notebook() -> None:
        with pytest.raises(KeyboardInterrupt):
            loop.run(work())

    asyncio.run(notebook())
    assert ended == ["closed"]
