"""Requests share batches, and a failure concerns only its batch."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from japagen.config.error import UserError
from japagen.service.limit import Limits
from tests.service.asgi import Answer, Client, Fake, serving


def predicted(answer: Answer) -> list[str]:
    """The predictions of an answer."""
    assert answer.status == 200, answer.json
    return [one["predicted"] for one in answer.json["predictions"]]


def test_requests_that_arrive_together_share_batches() -> None:
    model = Fake()

    async def session(client: Client) -> list[Answer]:
        return await asyncio.gather(*[client.ask("x" * n) for n in range(1, 51)])

    answers = serving(session, model, batch_size=20, wait_ms=100)
    assert [predicted(answer) for answer in answers] == [[str(n)] for n in range(1, 51)]
    assert [len(batch) for batch in model.batches] == [20, 20, 10]


def test_a_full_batch_does_not_wait() -> None:
    model = Fake()

    async def session(client: Client) -> Answer:
        return await asyncio.wait_for(client.ask("a", "b"), 5)

    answer = serving(session, model, batch_size=2, wait_ms=50_000)
    assert len(predicted(answer)) == 2
    assert [len(batch) for batch in model.batches] == [2]


def test_a_single_request_waits_for_others_only_so_long() -> None:
    async def session(client: Client) -> float:
        begin = asyncio.get_running_loop().time()
        await client.ask("a")
        return asyncio.get_running_loop().time() - begin

    assert 0.2 <= serving(session, Fake(), wait_ms=200) < 5


def test_one_text_at_a_time() -> None:
    model = Fake()
    serving(lambda client: client.ask("a", "b"), model, batch_size=1)
    assert model.batches == [["a"], ["b"]]


def test_a_large_request_is_split_and_keeps_its_order() -> None:
    model = Fake(seconds=0.001)
    sizes = [37, 1, 100, 5, 64]

    async def session(client: Client) -> list[Answer]:
        return await asyncio.gather(
            *[client.ask(*["x" * n for n in range(1, size + 1)]) for size in sizes]
        )

    for size, answer in zip(sizes, serving(session, model, batch_size=8), strict=True):
        assert predicted(answer) == [str(n) for n in range(1, size + 1)]
    assert max(map(len, model.batches)) == 8
    assert len(model.batches) == -(-sum(sizes) // 8)


def test_a_failing_batch_answers_500_and_the_next_one_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def session(client: Client) -> tuple[list[Answer], Answer]:
        together = [client.ask("fail"), client.ask("a"), client.ask("bb", "ccc")]
        return await asyncio.gather(*together), await client.ask("dddd")

    first, last = serving(session, Fake(), batch_size=2, wait_ms=100)
    assert [answer.status for answer in first] == [500, 500, 200]
    detail = "the model failed: RuntimeError: out of memory"
    assert [answer.json for answer in first[:2]] == [{"detail": detail}] * 2
    assert [predicted(first[2]), predicted(last)] == [["2", "3"], ["4"]]
    (record,) = caplog.records
    assert (record.levelno, record.exc_info is None) == (logging.ERROR, False)


def test_the_rest_of_a_failed_request_is_not_asked() -> None:
    async def session(client: Client) -> list[Answer]:
        return [await client.ask("fail", *"abcdef"), await client.ask("x", "y")]

    model = Fake()
    assert [one.status for one in serving(session, model, batch_size=2)] == [500, 200]
    assert model.batches == [["fail", "a"], ["x", "y"]]


class Stop(StopIteration):
    """An error that a future cannot hold."""


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (Stop(), "Stop: "),
        (MemoryError("no space"), "MemoryError: no space"),
        (ValueError("x" * 5000), "ValueError: xxx"),
        ([], "ValueError: 0 answers to 1 texts"),
        ([{"predicted": float("nan")}], "ValueError: the answer is not a finite number"),
        ([{"predicted": "a", "probability": float("inf")}], "ValueError: the answer is not a fin"),
    ],
)
def test_whatever_the_model_does_the_client_gets_an_answer(answers: Any, reason: str) -> None:
    def predict(_: Sequence[Sequence[str]]) -> Any:
        if isinstance(answers, Exception):
            raise answers
        return answers

    answer = serving(lambda client: client.ask("a"), predict)
    assert answer.status == 500
    assert answer.json["detail"].startswith(f"the model failed: {reason}")
    assert len(answer.json["detail"]) < 250


def test_beyond_the_queue_requests_get_503_and_later_200() -> None:
    gate = threading.Event()

    def predict(examples: Sequence[Sequence[str]]) -> Any:
        assert gate.wait(30)
        return [{"predicted": text} for (text,) in examples]

    async def session(client: Client) -> tuple[Answer, list[Answer]]:
        running = asyncio.create_task(client.ask("running"))
        await asyncio.sleep(0.2)  # the model has it: it no longer waits
        waiting = [asyncio.create_task(client.ask(*"ab")) for _ in range(2)]
        await asyncio.sleep(0.1)
        full = await client.ask("x")
        gate.set()
        return full, [*await asyncio.gather(running, *waiting), await client.ask("y")]

    full, others = serving(session, predict, max_waiting=4, max_texts=2, batch_size=1)
    assert (full.status, full.headers["retry-after"]) == (503, "1")
    assert full.json["detail"] == "4 texts wait for the model; allowed: 4. Try again later"
    assert list(map(predicted, others)) == [["running"], ["a", "b"], ["a", "b"], ["y"]]


@pytest.mark.slow
def test_a_request_that_the_end_of_the_service_cancels_is_answered() -> None:
    async def session(client: Client) -> list[Answer]:
        asking = [asyncio.create_task(client.ask("a")) for _ in range(3)]
        await asyncio.sleep(0.1)
        for one in asking:
            one.cancel()
        return await asyncio.gather(*asking)

    answers = serving(session, Fake(seconds=0.5), batch_size=1)
    assert [(answer.status, answer.json) for answer in answers] == [
        (503, {"detail": "the service ends"})
    ] * 3


def test_the_model_runs_in_one_thread_that_ends() -> None:
    threads: set[str] = set()

    def predict(examples: Sequence[Sequence[str]]) -> Any:
        threads.add(threading.current_thread().name)
        return [{"predicted": "a"} for _ in examples]

    async def session(client: Client) -> None:
        await asyncio.gather(*[client.ask("a") for _ in range(20)])

    serving(session, predict, batch_size=1)
    assert len(threads) == 1
    assert threads != {threading.current_thread().name}
    assert threads.isdisjoint(one.name for one in threading.enumerate())


def test_a_queue_shorter_than_a_request_is_refused() -> None:
    with pytest.raises(UserError, match=r"--max-waiting 10 is below --max-texts 11: .*Type --m"):
        Limits(max_waiting=10, max_texts=11)
