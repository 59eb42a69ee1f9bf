"""Rounds of a generation: the accepted rows of earlier rounds change the prompts of the next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from japagen.config.schema import Prompt
from japagen.config.task import Task
from japagen.dataset.reply import Reply
from japagen.synthesis import prompt as wording
from japagen.synthesis.facts import Facts
from japagen.text.content import words

# A taboo word is in at least so many rows.
REPEATED = 2


class Rounds:
    """A generation of one round, in which nothing is chosen."""

    def end(self, k: int) -> int:
        """Return the first example after the round of example k, 0 if there is one round."""
        return 0

    def add(self, label: str, reply: Reply) -> None:
        """Count an accepted example."""

    def decided(self, number: int) -> None:
        """Note that the first `number` examples are decided: at the end of a round, choose."""

    def save(self) -> None:
        """Write what was chosen since the last call to the journal."""

    def taboo(self, k: int, label: str) -> Sequence[str]:
        """Return the words that the prompt of example k forbids."""
        return ()


class TabooRounds(Rounds):
    """Chooses the taboo words of each round from the accepted rows of all earlier rounds.

    Words that many LLM-written texts share are forbidden in the next prompts (after Cegin et al.
    2024, "Effects of diversity incentives on sample diversity and downstream model performance in
    LLM-based text augmentation"). They are counted in the first text of each row, which the prompt
    leaves to the LLM. The words of a round are written to the journal, so that each process uses
    the same ones.
    """

    def __init__(self, task: Task, prompt: Prompt, facts: Facts) -> None:
        self.task, self.prompt, self.facts = task, prompt, facts
        self.size = prompt.round * len(task.labels)
        self.rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.unwritten: list[str] = []

    def end(self, k: int) -> int:
        """Return the first example after the round of example k."""
        return (k // self.size + 1) * self.size

    def add(self, label: str, reply: Reply) -> None:
        """Count the words of an accepted example."""
        self.rows[self.counted(label)].update(words(reply.texts[0]))

    def counted(self, label: str) -> str:
        """Return the label whose rows count, "" for those of all: the first text has no label."""
        turn = self.task.wording.turns[self.task.inputs[0]]
        return label if "{label}" in turn else ""

    def decided(self, number: int) -> None:
        """Note that the first `number` examples are decided: at the end of a round, choose."""
        if number % self.size:
            return
        key = f"taboo/{number // self.size}"
        if key not in self.facts.known:
            self.facts.known[key] = {label: self.overused(label) for label in self.task.labels}
            self.unwritten.append(key)

    def overused(self, label: str) -> list[str]:
        """Return the words in most rows of a label, without those that the prompt itself asks for.

        The most frequent first, equally frequent ones by their characters.
        """
        given = wording.given(self.task, self.prompt)
        rows = self.rows[self.counted(label)]
        found = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        kept = [word for word, count in found if count >= REPEATED and word not in given]
        return kept[: self.prompt.taboo]

    def save(self) -> None:
        """Write what was chosen since the last call to the journal."""
        for key in self.unwritten:
            if key not in self.facts.read:
                self.facts.record(key, self.facts.known[key])
        self.unwritten.clear()

    def taboo(self, k: int, label: str) -> Sequence[str]:
        """Return the taboo words of example k; none in the first round."""
        if k < self.size:
            return ()
        chosen: Mapping[str, Sequence[str]] = self.facts.known[f"taboo/{k // self.size}"]
        return chosen[label]


def of(task: Task, prompt: Prompt, facts: Facts) -> Rounds:
    """Return the rounds that a prompt asks for."""
    return TabooRounds(task, prompt, facts) if prompt.taboo else Rounds()
