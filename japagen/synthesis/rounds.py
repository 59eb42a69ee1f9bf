"""Rounds of a generation: the accepted rows of earlier rounds change the prompts of the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from japagen.config.schema import Prompt
from japagen.config.task import Task
from japagen.dataset.reply import Reply
from japagen.synthesis.facts import Facts
from japagen.synthesis.helpful import Helpful
from japagen.synthesis.taboo import Taboo

Chosen = Mapping[str, Sequence[Any]]  # by label


class Chooser(Protocol):
    """Chooses something for the prompts of the next round from the accepted rows so far."""

    def add(self, label: str, reply: Reply) -> None:
        """Add an accepted example."""

    def choose(self) -> Chosen:
        """Return what was chosen, as JSON values; called at the end of a round."""

    def skip(self) -> None:
        """Note the end of a round for which an earlier process has chosen."""


class Rounds:
    """A generation of one round, in which nothing is chosen."""

    size = 0  # examples in a round

    def end(self, k: int) -> int:
        """Return the first example after the round of example k, 0 if there is one round."""
        return 0

    def add(self, label: str, reply: Reply) -> None:
        """Add an accepted example."""

    def decided(self, number: int) -> None:
        """Note that the first `number` examples are decided: at the end of a round, choose."""

    def save(self) -> None:
        """Write what was chosen since the last call to the journal."""

    def chosen(self, name: str, k: int) -> Chosen:
        """Return what the chooser called `name` has chosen for the prompt of example k."""
        return {}


class ChoosingRounds(Rounds):
    """Rounds of so many examples, with what is chosen between them.

    What was chosen for a round is written to the journal, so that each process uses the same: a
    later process may know more accepted rows, if max_attempts was raised.
    """

    def __init__(self, size: int, choosers: Mapping[str, Chooser], facts: Facts) -> None:
        self.size, self.choosers, self.facts = size, choosers, facts
        self.unwritten: list[str] = []

    def end(self, k: int) -> int:
        """Return the first example after the round of example k."""
        return (k // self.size + 1) * self.size

    def add(self, label: str, reply: Reply) -> None:
        """Add an accepted example."""
        for chooser in self.choosers.values():
            chooser.add(label, reply)

    def decided(self, number: int) -> None:
        """Note that the first `number` examples are decided: at the end of a round, choose."""
        if number % self.size:
            return
        for name, chooser in self.choosers.items():
            key = f"{name}/{number // self.size}"
            if key in self.facts.known:
                chooser.skip()
            else:
                self.facts.known[key] = chooser.choose()
                self.unwritten.append(key)

    def save(self) -> None:
        """Write what was chosen since the last call to the journal."""
        for key in self.unwritten:
            self.facts.record(key, self.facts.known[key])
        self.unwritten.clear()

    def chosen(self, name: str, k: int) -> Chosen:
        """Return what was chosen for the prompt of example k; nothing in the first round."""
        if k < self.size or name not in self.choosers:
            return {}
        found: Chosen = self.facts.known[f"{name}/{k // self.size}"]
        return found


def of(task: Task, prompt: Prompt, facts: Facts) -> Rounds:
    """Return the rounds that a prompt asks for."""
    choosers: dict[str, Chooser] = {}
    if prompt.taboo:
        choosers["taboo"] = Taboo(task, prompt)
    if prompt.feedback:
        choosers["feedback"] = Helpful(task, prompt.feedback)
    size = prompt.round * len(task.labels)
    return ChoosingRounds(size, choosers, facts) if choosers else Rounds()
