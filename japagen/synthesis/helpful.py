"""Rows that help a student most: the in-context examples of prompt=feedback."""

from __future__ import annotations

from typing import Any

from japagen.config.task import Task
from japagen.dataset.reply import Reply
from japagen.student import vectors
from japagen.synthesis.choosing import confidences


class Helpful:
    """Chooses the accepted rows whose label a classifier trained on other rows is surest of.

    After Ye et al. 2022, "ProGen: Progressive Zero-shot Dataset Generation via In-context
    Feedback", which estimates the influence of each row on a student instead.
    """

    def __init__(self, task: Task, number: int) -> None:
        self.task, self.number = task, number
        self.rows: list[tuple[str, tuple[str, ...]]] = []
        self.ends: list[int] = []  # numbers of rows at the ends of rounds
        self.vectors: list[Any] = []  # of the first rows

    def add(self, label: str, reply: Reply) -> None:
        """Add an accepted example."""
        self.rows.append((label, reply.texts))

    def choose(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the texts of the examples of each label, the surest first."""
        import numpy as np

        found: dict[str, list[tuple[str, ...]]] = {label: [] for label in self.task.labels}
        if not self.rows:
            return found
        self.skip()
        self.encode()
        features = vectors.features(np.array(self.vectors))
        sure = confidences([label for label, _ in self.rows], features)
        places = sorted(range(len(sure)), key=lambda place: (-sure[place], place))
        for place in places:
            label, texts = self.rows[place]
            if len(found[label]) < self.number:
                found[label].append(texts)
        return found

    def skip(self) -> None:
        """Note the end of a round."""
        self.ends.append(len(self.rows))

    def encode(self) -> None:
        """Add the vectors of the rounds that have none.

        Texts in one batch change each other's last digits: a round's are never encoded with others.
        """
        for end in self.ends:
            new = [texts for _, texts in self.rows[len(self.vectors) : end]]
            self.vectors += list(vectors.of(new)) if new else []
