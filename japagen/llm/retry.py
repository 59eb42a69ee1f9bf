"""Retries: how often a failed request is sent again, after which pause, and when the job stops."""

from __future__ import annotations

import asyncio
import logging
import random
import time

from japagen.config.error import UserError
from japagen.llm.engine import Completion, Engine, EngineError, Request

log = logging.getLogger(__name__)

# Of one request that fails, with pauses of 1, 2, 4 ... seconds between them; one more if others are
# answered.
TRIES = 5
# Seconds that one request may wait in all where the engine says how long: a rate limit, a server
# that loads its model. A daily limit asks for more, and nobody wants a job to sleep that long.
PATIENCE = 3600.0
# Requests without a reply after all tries, while others are answered: at most so many of a job, or
# this part of its replies. Their replies are rejected.
LOST, LOST_PART = 3, 0.05
FAILED = "failed"  # the finish reason of these; as every unknown one it means `unfinished`
PERIOD = 10.0  # seconds in which the same failure is logged once, however many requests meet it


class Retry:
    """Sends requests to one engine and repeats those that fail."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.logged: dict[str, float] = {}
        self.answered = self.lost = 0
        self.heard = 0  # replies, also to requests that only ask whether the server works
        self.asking = asyncio.Lock()
        self.good: Request | None = None  # the last request with a reply

    async def answer(self, request: Request) -> Completion:
        """The engine's completion, after as many tries as TRIES and PATIENCE allow.

        Raises UserError when they are used up, unless this request alone fails: then it is tried
        once more, because the server may have failed for all until now, and given up.
        """
        failed, waited, before = 0, 0.0, self.heard
        while True:
            try:
                return await self.once(request)
            except EngineError as error:
                if error.retry_after is None:
                    failed += 1
                else:
                    waited += max(1.0, error.retry_after)
                if failed > TRIES and error.retry_after is None and not self.many_lost():
                    return self.give_up(error)
                fails = error.retry_after is None and failed >= TRIES
                if fails and failed == TRIES and await self.others_succeed(before):
                    continue
                if fails or waited > PATIENCE:
                    raise UserError(stopped(error, failed, waited)) from error
                before = self.heard
                seconds = pause(failed, error.retry_after)
                self.warn(str(error), seconds, error.retry_after is not None)
                await asyncio.sleep(seconds)

    async def once(self, request: Request) -> Completion:
        """The engine's completion, after one try."""
        reply = await self.engine.complete(request)
        self.answered += 1
        self.heard += 1
        self.good = request
        return reply

    def many_lost(self) -> bool:
        """Whether no other request of this job may be given up."""
        return self.lost >= max(LOST, LOST_PART * self.answered)

    async def others_succeed(self, before: int) -> bool:
        """Whether only single requests fail: others were answered since `before`, or are now."""
        async with self.asking:  # what one request learns, those that wait here know too
            if self.good is None or self.many_lost():
                return False
            if self.heard == before:
                try:
                    await self.engine.complete(self.good)
                except EngineError:
                    return False
                self.heard += 1
        return True

    def give_up(self, error: EngineError) -> Completion:
        """The reply to a request that always fails, which is rejected."""
        self.lost += 1
        log.warning(
            "%s; one request failed %d times while others were answered. Its reply is rejected "
            "with the reason `unfinished`, and the job continues (%d such requests so far)",
            *(error, TRIES + 1, self.lost),
        )
        return Completion("", FAILED, 0, 0)

    def warn(self, reason: str, seconds: float, asked: bool) -> None:
        """Log a failure and the pause after it, at most once in PERIOD for all requests."""
        now = time.monotonic()
        if now - self.logged.get(reason, -PERIOD) < PERIOD:
            return
        if len(self.logged) > 100:
            self.logged.clear()
        self.logged[reason] = now
        limit = f"; a request waits {duration(PATIENCE)} at most" if asked else ""
        log.warning("%s; trying again in %s%s", reason, duration(seconds), limit)


def stopped(error: EngineError, failed: int, waited: float) -> str:
    """Why the job stops, and what to do."""
    if error.retry_after is None:
        why = f"The LLM failed {failed} times on one request: {error}\n"
        return f"{why}All replies so far are kept. Fix the cause and type the same command."
    asked = error.retry_after or 0.0
    if asked > PATIENCE:
        why = f"The server asks to wait {duration(asked)}; a job waits {duration(PATIENCE)} at most"
    else:
        why = f"One request has waited {duration(waited)} for the server, which is the limit"
    return f"{why}: {error}\nAll replies so far are kept. Type the same command after that time."


def pause(failed: int, retry_after: float | None) -> float:
    """Seconds until the next try: what the engine asks for, else 1, 2, 4 ... up to 60.

    Random within 25 %, so that not all requests come back at the same moment.
    """
    if retry_after is None:
        return min(60.0, 2.0 ** (failed - 1)) * random.uniform(0.75, 1.25)
    return min(PATIENCE, retry_after) * random.uniform(1.0, 1.25)


def duration(seconds: float) -> str:
    """`seconds` in the units that a reader expects: 0.5 s, 45 s, 12 min, 23 h 59 min, 400 days."""
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} days"
