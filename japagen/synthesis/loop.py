"""The synthesis loop: requests in flight, the journal of their replies, and when to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from japagen import llm
from japagen.config.error import UserError
from japagen.dataset.identity import Dataset
from japagen.dataset.journal import Journal
from japagen.dataset.reply import Reply
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.job import loop
from japagen.llm.dispatch import in_flight
from japagen.llm.retry import Retry
from japagen.synthesis import estimate, reliability, verification
from japagen.synthesis.acceptance import Acceptor
from japagen.synthesis.attempt import draw
from japagen.synthesis.console import Progress
from japagen.synthesis.draft import Shared
from japagen.synthesis.plan import Plan
from japagen.synthesis.verification import Ask, LLMVerifier, StudentVerifier, Verifier

log = logging.getLogger(__name__)

# What the journal says about a verifier that could not be measured.
NO_GOLD = {"rows": 0, "trusted": False}


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
        self, plan: Plan, limits: Limits, journal: Journal, state: Acceptor, gold_dir: str | None
    ) -> None:
        self.plan, self.limits, self.journal, self.state = plan, limits, journal, state
        self.dataset: Dataset = plan.dataset
        self.gold_dir = gold_dir
        self.shared = Shared()
        self.sample: list[estimate.Drawn] = []
        self.taken = 0
        self.seconds = 0.0  # of drawing replies, without loading models and measuring the verifier
        # What was measured once for the dataset: the verifier's prior and its reliability.
        self.measured: dict[str, Any] = {}

    @property
    def cost(self) -> float:
        """US dollars that all replies of the dataset and measuring its verifier have cost."""
        options, asked = self.dataset.llm, self.measured.get("measuring_tokens", (0, 0))
        prompt, completion = map(sum, zip(self.state.tally.tokens, asked, strict=True))
        dollars = prompt * options.price_prompt + completion * options.price_completion
        return round(dollars / 1e6, 6)

    @property
    def stopped(self) -> bool:
        """Whether this job draws no more replies."""
        limit = self.limits.sample
        return self.state.done or (limit is not None and self.taken >= limit)

    def resume(self) -> None:
        """Read the journal of earlier processes."""
        for entry in self.journal.lines():
            if "k" not in entry:
                self.measured.update(entry)
                continue
            reply = Reply.of(entry)
            self.state.replay(reply)
            self.shared.note(self.plan, reply, self.state.next)
        if self.state.tally.replies:
            accepted = f"{self.state.accepted} of {self.state.size} examples accepted"
            folder, replies = self.journal.path.parent, self.state.tally.replies
            log.info("resuming %s: %s from %d replies", folder, accepted, replies)

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
        """Keep `llm.concurrency` examples in flight; the first failure stops all of them."""
        engine = llm.load(self.dataset.llm)
        ask: Ask = Retry(engine).answer
        changed, verifier = asyncio.Event(), None

        async def worker() -> None:
            while not self.stopped:
                work = self.state.take()
                if work is None:
                    await changed.wait()
                    continue
                self.taken += 1
                self.arrive(await draw(self.plan, ask, self.shared, *work, verifier))
                progress.update(self.state)
                changed.set()
                changed.clear()

        with Progress(self.state.size) as progress:
            try:
                verifier = await self.open_verifier(ask)
            except BaseException:
                await engine.close()
                raise
            began = time.monotonic()
            try:
                await in_flight(engine, self.dataset.llm.concurrency, worker)
            finally:
                self.seconds = time.monotonic() - began
                if verifier is not None:
                    verifier.close()

    def arrive(self, reply: Reply) -> None:
        """Write a reply to the journal, decide what it decides, and check the limits."""
        self.journal.write(reply.entry())
        reason = self.state.arrive(reply)
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

    async def open_verifier(self, ask: Ask) -> Verifier | None:
        """Return the verifier of the dataset's filter; None without one or if it is not trusted."""
        rule, task = self.dataset.filter, self.dataset.task
        if rule.method == "none":
            return None
        gold = self.verification_gold()
        if gold is None:
            return None
        if rule.student:
            student = StudentVerifier(rule.student, task)
            return student if await self.is_trusted(student, gold.rows) else None
        chat, prior = self.dataset.llm.chat, ()
        before = self.measured.get("measuring_tokens", [0, 0])
        counted = verification.Counted(ask, before, self.check_cost)
        self.measured["measuring_tokens"] = counted.tokens
        try:
            if self.dataset.calibrate:
                prior = await self.once(
                    "prior", verification.content_free_prior(counted, task, chat, gold.shots)
                )
            measured = LLMVerifier(counted, task, chat, gold.shots, prior)
            trusted = await self.is_trusted(measured, gold.rows)
        finally:
            if counted.tokens != before:
                self.record("measuring_tokens", counted.tokens)
        return LLMVerifier(ask, task, chat, gold.shots, prior) if trusted else None

    def verification_gold(self) -> verification.GoldRows | None:
        """Return the gold rows that the filter needs; None with filter=auto and no gold.

        Raises UserError if the shots have changed.
        """
        known = self.measured.get("reliability")
        if known == NO_GOLD and self.state.tally.replies:
            log.warning("filter=auto keeps to filter=none, with which this dataset was begun")
            return None
        try:
            measuring = known in (None, NO_GOLD)
            gold = verification.gold_rows(self.dataset, self.gold_dir, measuring)
        except GoldMissing as missing:
            if self.dataset.filter.method != "auto":
                raise
            log.warning(
                "filter=auto falls back to filter=none for the whole dataset, because there are no "
                "gold rows to measure the verifier on: %s",
                missing,
            )
            self.record("reliability", NO_GOLD)
            return None
        if known == NO_GOLD:  # it has arrived before the first reply
            del self.measured["reliability"]
        if digest := gold.digest:
            if self.measured.get("verification_shots", digest) != digest:
                raise UserError(
                    f"{self.journal.path.parent} was verified with other shots (filter.shots="
                    f"{self.dataset.filter.shots}): the gold file has changed since. "
                    f"Delete the folder to start again."
                )
            if "verification_shots" not in self.measured:
                self.record("verification_shots", digest)
        return gold

    async def is_trusted(self, verifier: Verifier, rows: Sequence[Example]) -> bool:
        """Measure the verifier on gold rows, if there are any.

        False only with filter=auto, if the verifier is unreliable.
        """
        rule, task = self.dataset.filter, self.dataset.task
        if not rule.dev_rows:
            return True
        concurrency = self.dataset.llm.concurrency
        measuring = reliability.measure(verifier, rows, rule, task, concurrency)
        return reliability.is_trusted(rule, await self.once("reliability", measuring))

    async def once(self, key: str, measuring: Any) -> Any:
        """Return what the journal has under `key`; if it has nothing, measure it and write it."""
        if key in self.measured:
            measuring.close()
        else:
            self.record(key, await measuring)
        return self.measured[key]

    def record(self, key: str, value: Any) -> None:
        """Write what was measured to the journal."""
        self.measured[key] = value
        self.journal.write({key: value})
