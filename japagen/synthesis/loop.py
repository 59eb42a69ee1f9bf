"""The synthesis loop: requests in flight, the journal of their replies, and when to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from japagen import llm
from japagen.config.error import UserError
from japagen.dataset.identity import Dataset
from japagen.dataset.reply import Reply
from japagen.job import loop
from japagen.llm.dispatch import in_flight
from japagen.llm.retry import Retry
from japagen.synthesis import estimate, reliability
from japagen.synthesis.acceptance import Acceptor
from japagen.synthesis.attempt import draw
from japagen.synthesis.console import Progress
from japagen.synthesis.draft import Shared
from japagen.synthesis.facts import Facts
from japagen.synthesis.opening import Opening
from japagen.synthesis.plan import Plan
from japagen.synthesis.verification import Ask
from japagen.synthesis.work import Work

log = logging.getLogger(__name__)

TOTAL_SECONDS = "total_seconds"  # of drawing the replies of a dataset, in all processes
NOTED, NEGLIGIBLE = 30.0, 0.001  # seconds


@dataclass(frozen=True)
class Limits:
    """How far one job goes.

    `max_attempts`: replies drawn for one example. `sample`: with estimate=true, the number of
    replies after which the job stops.
    """

    max_attempts: int
    sample: int | None = None


class Synthesis:
    """The loop over one dataset. `gold_dir`: where gold rows for label verification are."""

    def __init__(
        self, plan: Plan, limits: Limits, facts: Facts, state: Acceptor, gold_dir: str | None
    ) -> None:
        self.plan, self.limits, self.state = plan, limits, state
        self.facts, self.journal = facts, facts.journal
        self.dataset: Dataset = plan.dataset
        self.gold_dir = gold_dir
        self.shared = Shared()
        self.work = Work(plan, state)
        self.sample: list[estimate.Drawn] = []
        self.taken = 0
        self.seconds = 0.0  # of drawing replies, without loading models and measuring the verifier
        self.noted = 0.0  # those that the journal has, of this process
        self.untimed = False  # whether the journal has replies, but not their time

    @property
    def cost(self) -> float:
        """US dollars that all replies of the dataset and measuring its verifier have cost."""
        prompt, completion = self.facts.known.get("measuring_tokens", (0, 0))
        options, dollars = self.dataset.llm, 0.0
        if options.writers:
            counts = [(writer, self.state.tally.llms[writer.name]) for writer in options.each]
        else:
            counts = [(options, self.state.tally.llms[""])]
        for writer, count in counts:
            dollars += (count["prompt_tokens"] + prompt) * writer.price_prompt
            dollars += (count["completion_tokens"] + completion) * writer.price_completion
        return round(dollars / 1e6, 6)

    @property
    def stopped(self) -> bool:
        """Whether this job draws no more replies."""
        limit = self.limits.sample
        return self.state.done or (limit is not None and self.taken >= limit)

    def resume(self) -> None:
        """Read the journal of earlier processes."""
        if self.state.rounds.size:  # what was chosen for a round must be known before its replies
            for _ in self.replies():
                pass
        for reply in self.replies():
            self.state.replay(reply)
            self.shared.note(self.plan, reply, self.state.next)
        self.state.rounds.save()
        self.untimed = bool(self.state.tally.replies) and TOTAL_SECONDS not in self.facts.known
        if self.state.tally.replies:
            accepted = f"{self.state.accepted} of {self.state.size} examples accepted"
            folder, replies = self.journal.path.parent, self.state.tally.replies
            log.info("resuming %s: %s from %d replies", folder, accepted, replies)

    def replies(self) -> Iterator[Reply]:
        """Yield the replies of the journal, and learn its facts. UserError names a wrong line."""
        task = self.dataset.task
        for row, entry in enumerate(self.journal.lines(), 2):
            try:
                if "k" in entry:
                    reply = Reply.of(entry)
                    reply.check(task)
                else:
                    self.facts.learn(entry)
                    continue
            except (ValueError, RecursionError) as error:
                raise self.journal.damaged(row, error) from error
            yield reply

    def run(self) -> None:
        """Draw replies until every example is accepted or given up, or the sample is complete."""
        if self.stopped:
            return
        # Objects from imports stay alive: take them out of the garbage collector's way.
        gc.freeze()
        try:
            loop.run(self.draw_all())
        finally:
            gc.unfreeze()

    async def draw_all(self) -> None:
        """Let one LLM after the other draw what the plan gives to it, until all is drawn."""
        with Progress(self.state.size) as progress:
            for turn in itertools.count():
                writer = turn % len(self.dataset.llm.each)
                if self.stopped:
                    break
                if self.work.has(writer):
                    await self.draw_by(writer, self.quota(turn), progress)

    def quota(self, turn: int) -> float:
        """Return how many attempts may have been taken at the end of the LLMs' turn `turn`."""
        sample = self.limits.sample
        each = len(self.dataset.llm.each)
        return math.inf if sample is None else math.ceil(sample * (turn + 1) / each)

    async def draw_by(self, writer: int, quota: float, progress: Progress) -> None:
        """Keep `llm.concurrency` examples of one LLM in flight; the first failure stops all."""
        options = self.dataset.llm.each[writer]
        engine = llm.load(options)
        ask: Ask = Retry(engine).answer
        changed, verifier, flying = asyncio.Event(), None, 0
        opening = Opening(self.dataset, self.facts, self.gold_dir, self.check_cost)

        async def worker() -> None:
            nonlocal flying
            while not self.stopped and self.taken < quota:
                work = self.work.take(writer)
                if work is None and not flying:  # the rest is for other LLMs
                    break
                if work is None:
                    await changed.wait()
                    continue
                self.taken += 1
                flying += 1
                self.arrive(await draw(self.plan, ask, self.shared, *work, verifier))
                self.note_seconds(self.seconds + time.monotonic() - began)
                flying -= 1
                progress.update(self.state)
                changed.set()
                changed.clear()

        try:
            verifier = await opening.open_verifier(ask, self.state.tally.replies > 0)
        except BaseException:
            await engine.close()
            raise
        began = time.monotonic()
        try:
            await in_flight(engine, options.concurrency, worker)
        finally:
            self.seconds += time.monotonic() - began
            if verifier is not None:
                verifier.close()
            with contextlib.suppress(OSError):  # a full disk, which the job reports
                self.note_seconds(self.seconds, NEGLIGIBLE)

    def note_seconds(self, seconds: float, least: float = NOTED) -> None:
        """Write the time of all processes to the journal, if `least` seconds are not in it yet.

        A process that is killed loses only these. Without a total, the replies of the journal are
        of a version that wrote none.
        """
        known = self.facts.known.get(TOTAL_SECONDS)
        if known is None and self.untimed:
            return
        new, before = seconds - self.noted, known or 0.0
        if new >= least or known is None:
            self.facts.record(TOTAL_SECONDS, round(before + new, 3))
            self.noted = seconds

    def arrive(self, reply: Reply) -> None:
        """Write a reply to the journal, decide what it decides, and check the limits."""
        self.journal.write(reply.entry())
        reason = self.state.arrive(reply)
        self.state.rounds.save()
        self.shared.note(self.plan, reply, self.state.next)
        if self.limits.sample is not None:
            clean = reason in ("", "relabelled")
            self.sample.append(estimate.Drawn(*reply.tokens, clean=clean))
        if not self.state.done:
            reliability.check_confirmed(self.dataset.filter, self.state.tally)
            self.check_cost()

    def check_cost(self) -> None:
        """Raise UserError at the spending limit."""
        limit = self.dataset.llm.max_cost
        if limit is not None and self.cost >= limit:
            raise UserError(
                f"The spending limit llm.max_cost={limit} US dollars is reached: {self.cost:.4f} "
                f"spent, {self.state.accepted} of {self.state.size} examples accepted. "
                f"All replies are kept; to continue, add llm.max_cost={2 * limit:g}"
            )
