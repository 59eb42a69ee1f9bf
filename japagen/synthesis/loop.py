"""The synthesis loop: requests in flight, the journal of their replies, and when to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
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
from japagen.synthesis.attempt import Premises, draw
from japagen.synthesis.console import Progress
from japagen.synthesis.facts import Facts
from japagen.synthesis.opening import Opening
from japagen.synthesis.plan import Plan
from japagen.synthesis.verification import Ask

log = logging.getLogger(__name__)


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
        self.premises = Premises()
        self.sample: list[estimate.Drawn] = []
        self.taken = 0
        self.seconds = 0.0  # of drawing replies, without loading models and measuring the verifier

    @property
    def cost(self) -> float:
        """US dollars that all replies of the dataset and measuring its verifier have cost."""
        options, asked = self.dataset.llm, self.facts.known.get("measuring_tokens", (0, 0))
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
                self.facts.add(entry)
                continue
            reply = Reply.of(entry)
            self.state.replay(reply)
            self.note(reply)
        self.state.rounds.save()
        if self.state.tally.replies:
            accepted = f"{self.state.accepted} of {self.state.size} examples accepted"
            folder, replies = self.journal.path.parent, self.state.tally.replies
            log.info("resuming %s: %s from %d replies", folder, accepted, replies)

    def note(self, reply: Reply) -> None:
        """Keep what later requests need of a reply: with prompt.premise=shared, its sentence 1."""
        if self.dataset.prompt.premise == "shared":
            if len(reply.texts) > 1:
                self.premises.known.setdefault(self.plan.number(reply.k), reply.texts[0])
            self.premises.forget(self.plan.number(self.state.next))

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
        opening = Opening(self.dataset, self.facts, self.gold_dir, self.check_cost)

        async def worker() -> None:
            while not self.stopped:
                work = self.state.take()
                if work is None:
                    await changed.wait()
                    continue
                self.taken += 1
                self.arrive(await draw(self.plan, ask, self.premises, *work, verifier))
                progress.update(self.state)
                changed.set()
                changed.clear()

        with Progress(self.state.size) as progress:
            try:
                verifier = await opening.open_verifier(ask, self.state.tally.replies > 0)
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
        self.state.rounds.save()
        self.note(reply)
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
