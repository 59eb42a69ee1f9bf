"""Requests in flight."""

from __future__ import annotations

import asyncio
import logging

import pytest

from japagen.llm.dispatch import in_flight
from japagen.llm.fake import Fake


class Closing(Fake):
    """An engine that notes what was logged before it is closed."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        self.log, self.before = log, list[str]()

    async def close(self) -> None:
        self.before = self.log.messages[:]


def test_a_stop_is_answered_before_the_engine_ends(caplog: pytest.LogCaptureFixture) -> None:
    engine = Closing(caplog)

    async def worker() -> None:
        await asyncio.Event().wait()

    async def stopped() -> None:
        work = asyncio.ensure_future(in_flight(engine, 2, worker))
        await asyncio.sleep(0)
        work.cancel()
        await work

    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())
    assert engine.before == ["stopping…"]


def test_a_failure_is_no_stop(caplog: pytest.LogCaptureFixture) -> None:
    engine = Closing(caplog)

    async def worker() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(in_flight(engine, 2, worker))
    assert engine.before == []
