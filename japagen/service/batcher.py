"""Requests that arrive together share batches, which one thread runs."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from japagen.service.limit import Limits, Refused

LOG = logging.getLogger("japagen.service")
REASON = 200  # characters of an error that a client sees

Example = Sequence[str]
Answer = dict[str, Any]
Predict = Callable[[Sequence[Example]], list[Answer]]


@dataclass
class Asked:
    """The examples of one request, its answers so far, and the future that gets all of them."""

    examples: Sequence[Example]
    time: float
    done: asyncio.Future[list[Answer]]
    answers: dict[int, Answer] = field(default_factory=dict)

    def add(self, place: int, answer: Answer) -> None:
        """Keep the answer to one example; with the last one the request is done."""
        self.answers[place] = answer
        if len(self.answers) == len(self.examples) and not self.done.done():
            self.done.set_result([self.answers[number] for number in range(len(self.examples))])


class Batcher:
    """A queue of examples in the order of their arrival. Use it as `async with`.

    A batch starts when `batch_size` examples wait, or when the oldest has waited `wait_ms`.
    """

    def __init__(self, predict: Predict, limits: Limits) -> None:
        self.predict, self.limits = predict, limits
        self.queue: deque[tuple[Asked, int]] = deque()
        self.some, self.full = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Batcher:
        self.thread = ThreadPoolExecutor(1, "japagen-model")
        self.task = asyncio.create_task(self.work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        self.thread.shutdown(cancel_futures=True)

    async def ask(self, examples: Sequence[Example]) -> list[Answer]:
        """Return the answers in the order of the examples.

        Raises Refused: 503 if too many examples wait, 500 if the model fails.
        """
        waiting, allowed = len(self.queue), self.limits.max_waiting
        if waiting + len(examples) > allowed:
            detail = f"{waiting} texts wait for the model; allowed: {allowed}. Try again later"
            raise Refused(503, detail, {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        asked = Asked(examples, loop.time(), loop.create_future())
        self.queue.extend((asked, place) for place in range(len(examples)))
        self.signal()
        return await asked.done

    def signal(self) -> None:
        """Set the events to what the queue holds."""
        for event, least in ((self.some, 1), (self.full, self.limits.batch_size)):
            if len(self.queue) >= least:
                event.set()
            else:
                event.clear()

    async def work(self) -> None:
        """Answer batch after batch until cancelled."""
        while True:
            await self.some.wait()
            await self.wait()
            if batch := self.take():
                await self.answer(batch)

    async def wait(self) -> None:
        """Return when a batch is full or the oldest example has waited long enough."""
        end = self.queue[0][0].time + self.limits.wait_ms / 1000
        left = end - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.wait([waiting := asyncio.ensure_future(self.full.wait())], timeout=left)
            waiting.cancel()

    def take(self) -> list[tuple[Asked, int]]:
        """Return the next batch without examples of requests that failed or were cancelled."""
        batch: list[tuple[Asked, int]] = []
        while self.queue and len(batch) < self.limits.batch_size:
            one = self.queue.popleft()
            if not one[0].done.done():
                batch.append(one)
        self.signal()
        return batch

    async def answer(self, batch: list[tuple[Asked, int]]) -> None:
        """Run the model on a batch; if it fails, its requests fail."""
        examples = [asked.examples[place] for asked, place in batch]
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.thread, self.outcome, examples)
        if isinstance(found, Exception):
            LOG.error("the model failed on a batch of %d texts", len(batch), exc_info=found)
            for asked, _ in batch:
                if not asked.done.done():
                    asked.done.set_exception(Refused(500, f"the model failed: {reason(found)}"))
            return
        for (asked, place), answer in zip(batch, found, strict=True):
            asked.add(place, answer)

    def outcome(self, examples: Sequence[Example]) -> list[Answer] | Exception:
        """Return the answers, or what the model raised; runs in the thread of the model."""
        try:
            found = self.predict(examples)
            if len(found) != len(examples):
                raise ValueError(f"{len(found)} answers to {len(examples)} texts")
            if not all(finite(one) for one in found):
                raise ValueError("the answer is not a finite number")
        except Exception as error:
            return error
        return found


def finite(answer: Answer) -> bool:
    """Return whether JSON can hold the numbers of an answer."""
    return all(math.isfinite(value) for value in answer.values() if isinstance(value, float))


def reason(error: Exception) -> str:
    """Return the kind of an error and its first line, cut to REASON characters."""
    line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {line}"[:REASON]
