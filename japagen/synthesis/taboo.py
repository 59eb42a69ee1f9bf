"""Taboo words: words that accepted rows overuse are forbidden in the next prompts."""

from __future__ import annotations

from collections import Counter, defaultdict

from japagen.config.schema import Prompt
from japagen.config.task import Task
from japagen.dataset.reply import Reply
from japagen.synthesis.prompt import given, turns
from japagen.text.content import words

REPEATED = 2  # a taboo word is in at least so many rows


class Taboo:
    """Counts the content words of accepted rows and chooses the most frequent ones of each label.

    After Cegin et al. 2024, "Effects of diversity incentives on sample diversity and downstream
    model performance in LLM-based text augmentation". Words are counted in the first text of each
    row, which the prompt leaves to the LLM.
    """

    def __init__(self, task: Task, prompt: Prompt) -> None:
        self.task, self.number = task, prompt.taboo
        self.by_label = "{label}" in turns(task, prompt)[task.inputs[0]]
        self.given = given(task, prompt)
        self.rows: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, label: str, reply: Reply) -> None:
        """Count the words of an accepted example."""
        self.rows[self.counted(label)].update(words(reply.texts[0]))

    def counted(self, label: str) -> str:
        """Return the label whose rows count, "" for those of all: the first text has no label."""
        return label if self.by_label else ""

    def choose(self) -> dict[str, list[str]]:
        """Return the taboo words of each label."""
        return {label: self.overused(label) for label in self.task.labels}

    def overused(self, label: str) -> list[str]:
        """Return the words in most rows of a label, without those that the prompt itself has.

        The most frequent first, equally frequent ones by their characters.
        """
        rows = self.rows[self.counted(label)]
        found = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
        kept = [word for word, n in found if n >= REPEATED and word not in self.given]
        return kept[: self.number]

    def skip(self) -> None:
        """Do nothing: counts need no end of a round."""
