"""Retries: pauses, limits and log lines."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest

from japagen.config.error import UserError
from japagen.llm import retry
from japagen.llm.engine import Completion, EngineError, Request
from japagen.llm.finish import rejection

real_sleep = asyncio.sleep
GOOD = Completion("犬が走る。", "stop", 1, 1)


class Failing:
    """An engine that raises these errors one after the other, then answers."""

    def __init__(self, *errors: EngineError) -> None:
        self.errors = list(errors)

    async def complete(self, _request: Request) -> Completion:
        if self.errors:
            raise self.errors.pop(0)
        return GOOD

    async def close(self) -> None:
        pass


def answer(*errors: EngineError) -> Completion:
    return asyncio.run(retry.Retry(Failing(*errors)).answer(Request()))


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, of which none takes time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


def test_pauses_grow_and_are_random_within_bounds() -> None:
    assert 0.75 <= retry.pause(1, None) <= 1.25
    assert 3 <= retry.pause(3, None) <= 5
    assert retry.pause(60, None) <= 75
    assert 7 <= retry.pause(1, 7) <= 8.75
    assert retry.pause(1, 1e9) <= 1.25 * 3600


def test_a_failure_is_tried_five_times(slept: list[float]) -> None:
    assert answer(*[EngineError("reset")] * 4) == GOOD
    assert len(slept) == 4
    with pytest.raises(UserError, match=r"(?s)failed 5 times.*reset.*type the same command"):
        answer(*[EngineError("reset")] * 5)


class Broken:
    """An engine that fails for the requests with these seeds, and for all when it is `down`."""

    def __init__(self, *seeds: int) -> None:
        self.seeds, self.down, self.asked = seeds, False, list[int]()

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request.seed)
        if self.down or request.seed in self.seeds:
            raise EngineError("error 500")
        return GOOD

    async def close(self) -> None:
        pass


def test_a_request_that_alone_fails_is_a_rejected_reply(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    engine = Broken(2)
    sender = retry.Retry(engine)
    replies = [asyncio.run(sender.answer(Request(seed=seed))) for seed in (1, 2, 3)]
    assert [reply.text for reply in replies] == [GOOD.text, "", GOOD.text]
    assert rejection(replies[1].finish) == "unfinished"
    # Before it is given up, a request that was answered is sent, and it is tried once more.
    assert engine.asked == [1, 2, 2, 2, 2, 2, 1, 2, 3]
    assert len(slept) == 4
    assert "error 500; one request failed 6 times while others were answered" in caplog.text


def test_requests_in_flight_show_that_the_server_works(slept: list[float]) -> None:
    engine = Broken(2)
    sender = retry.Retry(engine)

    async def both() -> list[Completion]:
        failing = asyncio.ensure_future(sender.answer(Request(seed=2)))
        while not failing.done():
            await sender.answer(Request(seed=1))
            await real_sleep(0)
        return [await failing]

    (reply,) = asyncio.run(both())
    assert reply.finish == retry.FAILED


def test_a_server_that_fails_for_all_ends_the_job(slept: list[float]) -> None:
    engine = Broken(2)
    sender = retry.Retry(engine)
    with pytest.raises(UserError, match="failed 5 times"):  # nothing was answered before
        asyncio.run(sender.answer(Request(seed=2)))
    asyncio.run(sender.answer(Request(seed=1)))
    engine.down = True
    with pytest.raises(UserError, match="failed 5 times"):
        asyncio.run(sender.answer(Request(seed=3)))


def test_only_a_few_requests_are_given_up(slept: list[float]) -> None:
    sender = retry.Retry(Broken(*range(100, 200)))

    def lost() -> int:
        before = sender.lost
        with pytest.raises(UserError, match="failed 5 times"):
            for seed in range(100, 200):
                asyncio.run(sender.answer(Request(seed=seed)))
        return sender.lost - before

    asyncio.run(sender.answer(Request(seed=1)))
    assert lost() == 3
    for _ in range(199):
        asyncio.run(sender.answer(Request(seed=1)))
    lost()
    assert sender.lost == 10  # 5 % of 200 replies


class Outage(Broken):
    """An engine that fails for all until it is asked for a request that was answered before."""

    async def complete(self, request: Request) -> Completion:
        await real_sleep(0)
        if request.seed == 0 and self.asked:
            self.down = False
        return await super().complete(request)


def test_an_outage_that_ends_is_no_fault_of_the_requests(slept: list[float]) -> None:
    engine = Outage()
    sender = retry.Retry(engine)

    async def many() -> list[Completion]:
        await sender.answer(Request(seed=0))
        engine.down = True
        return await asyncio.gather(*[sender.answer(Request(seed=n)) for n in range(1, 51)])

    assert asyncio.run(many()) == [GOOD] * 50
    assert sender.lost == 0
    assert engine.asked.count(0) == 2  # one request asks for all


def test_requests_that_fail_at_once_keep_the_limit(slept: list[float]) -> None:
    class Slow(Broken):
        async def complete(self, request: Request) -> Completion:
            await real_sleep(0)
            return await super().complete(request)

    sender = retry.Retry(Slow(*range(1, 51)))

    async def many() -> list[Completion | BaseException]:
        await sender.answer(Request(seed=0))
        requests = [sender.answer(Request(seed=n)) for n in range(1, 51)]
        return await asyncio.gather(*requests, return_exceptions=True)

    replies = asyncio.run(many())
    assert sender.lost == 3
    assert sum(isinstance(reply, UserError) for reply in replies) == 47


def test_a_server_that_says_when_to_come_back_is_tried_for_an_hour(slept: list[float]) -> None:
    assert answer(*[EngineError("loading", 5.0)] * 700) == GOOD
    with pytest.raises(UserError, match=r"(?s)waited 60 min.*limit.*loading.*same command"):
        answer(*[EngineError("loading", 5.0)] * 730)
    slept.clear()
    with pytest.raises(UserError, match="waited 60 min"):
        answer(*[EngineError("busy", 0.001)] * 5000)
    assert len(slept) == 3600


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3700.0, "62 min"), (86_340.0, "23 h 59 min"), (9e8, "10416 days"), (1e300, "days")],
)
def test_a_wait_of_more_than_an_hour_ends_the_job_at_once(
    slept: list[float], seconds: float, said: str
) -> None:
    with pytest.raises(UserError, match=rf"(?s)asks to wait .*{said}; a job waits 60 min at most"):
        answer(EngineError("daily limit", seconds))
    assert slept == []


def test_the_log_says_how_long_the_wait_is_and_says_it_once(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    engine = Failing(*[EngineError("too many requests", 40.0)] * 8, EngineError("reset"))
    sender = retry.Retry(engine)

    async def requests() -> None:
        await asyncio.gather(*[sender.answer(Request()) for _ in range(8)])

    asyncio.run(requests())
    assert len(slept) == 9
    first, second = [record.getMessage() for record in caplog.records]
    # Up to a quarter longer than asked, so that not all requests come back at once.
    assert re.fullmatch(
        r"too many requests; trying again in (4\d|50) s; a request waits 60 min at most", first
    )
    assert second.startswith("reset; trying again in ")


def test_another_job_logs_its_failures_anew(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    answer(EngineError("reset"))
    answer(EngineError("reset"))
    assert len(caplog.records) == len(slept) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (9.4, "9.4 s"), (45.2, "45 s"), (300, "5 min"), (7300, "2 h 2 min")],
)
def test_a_duration_is_readable(seconds: float, text: str) -> None:
    assert retry.duration(seconds) == text
