"""Open the verifier of a dataset's label filter: its gold rows, its prior and its reliability."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from japagen.config.error import UserError
from japagen.dataset.identity import Dataset
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.synthesis import reliability, verification
from japagen.synthesis.facts import Facts
from japagen.synthesis.verification import Ask, LLMVerifier, StudentVerifier, Verifier

log = logging.getLogger(__name__)

# What the journal says about a verifier that could not be measured.
NO_GOLD = {"rows": 0, "trusted": False}


class Opening:
    """Opens the verifier. `gold_dir`: where gold rows are. `check_cost` runs before questions."""

    def __init__(
        self,
        dataset: Dataset,
        facts: Facts,
        gold_dir: str | None,
        check_cost: Callable[[], None],
    ) -> None:
        self.dataset, self.facts = dataset, facts
        self.gold_dir, self.check_cost = gold_dir, check_cost

    async def open_verifier(self, ask: Ask, begun: bool) -> Verifier | None:
        """Return the verifier of the dataset's filter; None without one or if it is not trusted.

        `begun`: the journal has replies already.
        """
        rule, task, known = self.dataset.filter, self.dataset.task, self.facts.known
        if rule.method == "none":
            return None
        gold = self.gold(begun)
        if gold is None:
            return None
        if rule.student:
            student = StudentVerifier(rule.student, task)
            return student if await self.is_trusted(student, gold.rows) else None
        chat, prior = self.dataset.llm.chat, ()
        before = known.get("measuring_tokens", [0, 0])
        counted = verification.Counted(ask, before, self.check_cost)
        known["measuring_tokens"] = counted.tokens
        try:
            if self.dataset.calibrate:
                prior = await self.facts.once(
                    "prior", verification.content_free_prior(counted, task, chat, gold.shots)
                )
            measured = LLMVerifier(counted, task, chat, gold.shots, prior)
            trusted = await self.is_trusted(measured, gold.rows)
        finally:
            if counted.tokens != before:
                self.facts.record("measuring_tokens", counted.tokens)
        return LLMVerifier(ask, task, chat, gold.shots, prior) if trusted else None

    def gold(self, begun: bool) -> verification.GoldRows | None:
        """Return the gold rows that the filter needs; None with filter=auto and no gold.

        Raises UserError if the shots have changed.
        """
        known = self.facts.known.get("reliability")
        if known == NO_GOLD and begun:
            log.warning("filter=auto keeps to filter=none, with which this dataset was begun")
            return None
        measuring = known in (None, NO_GOLD)
        try:
            gold = verification.gold_rows(self.dataset, self.gold_dir, measuring)
        except GoldMissing as missing:
            if self.dataset.filter.method != "auto" or not measuring:
                raise  # rows of this dataset are already filtered with gold
            log.warning(
                "filter=auto falls back to filter=none for the whole dataset, because there are no "
                "gold rows to measure the verifier on: %s",
                missing,
            )
            self.facts.record("reliability", NO_GOLD)
            return None
        if known == NO_GOLD:  # it has arrived before the first reply
            del self.facts.known["reliability"]
        self.check_shots(gold.digest)
        return gold

    def check_shots(self, digest: str) -> None:
        """Note the shots of the question; UserError if they are others than before."""
        if not digest:
            return
        if self.facts.known.get("verification_shots", digest) != digest:
            raise UserError(
                f"{self.dataset.folder} was verified with other shots (filter.shots="
                f"{self.dataset.filter.shots}): the gold file has changed since. "
                f"Delete the folder to start again."
            )
        if "verification_shots" not in self.facts.known:
            self.facts.record("verification_shots", digest)

    async def is_trusted(self, verifier: Verifier, rows: Sequence[Example]) -> bool:
        """Measure the verifier on gold rows, if there are any.

        False only with filter=auto, if the verifier is unreliable.
        """
        rule, task = self.dataset.filter, self.dataset.task
        if not rule.dev_rows:
            return True
        concurrency = self.dataset.llm.concurrency
        measuring = reliability.measure(verifier, rows, rule, task, concurrency)
        return reliability.is_trusted(rule, await self.facts.once("reliability", measuring))
