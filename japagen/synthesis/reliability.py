"""Whether a verifier can be trusted: its accuracy on gold rows, and the labels it confirms."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.config.error import UserError
from japagen.config.schema import Filter
from japagen.config.task import Task
from japagen.gold.example import Example, nearest
from japagen.synthesis.verification import Verifier

WHAT_TO_DO = (
    "Add question.calibrate=true, or filter.shots=4 if there are gold rows, or choose another "
    "LLM; filter=none keeps what the LLM writes; filter.min_confirmed=0 goes on regardless."
)


@dataclass(frozen=True)
class Reliability:
    """How a verifier labels gold development rows.

    `recall`: the share of each label's rows that get this label. `answered`: the share of all
    answers that each label gets, which shows a verifier that prefers one label.
    """

    rows: int
    recall: dict[str, float]
    answered: dict[str, float]

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall: 1 / number of labels for a verifier that guesses."""
        return sum(self.recall.values()) / len(self.recall)

    @property
    def trusted(self) -> bool:
        """Whether the balanced accuracy is nearer to 1 than to that of a guess."""
        return self.balanced_accuracy > (1 + 1 / len(self.recall)) / 2

    def report(self) -> dict[str, Any]:
        """Return the figures for the manifest."""
        figures = {"rows": self.rows, "balanced_accuracy": round(self.balanced_accuracy, 4)}
        return figures | {"recall": self.recall, "answered": self.answered}


async def measure(
    verifier: Verifier, rows: Sequence[Example], task: Task, concurrency: int
) -> Reliability:
    """Ask `verifier` about gold rows, at most `concurrency` at once."""
    slots = asyncio.Semaphore(concurrency)

    async def ask(row: Example) -> str:
        async with slots:
            return (await verifier.verify(row.texts)).label

    answers = await asyncio.gather(*(ask(row) for row in rows))
    gold = [nearest(row.label, task) if task.kind == "regression" else row.label for row in rows]
    totals, right = Counter(gold), Counter[str]()
    for label, answer in zip(gold, answers, strict=True):
        right[label] += label == answer
    given = Counter(answers)
    return Reliability(
        rows=len(rows),
        recall={name: round(right[name] / totals[name], 4) for name in task.labels if totals[name]},
        answered={name: round(given[name] / len(rows), 4) for name in task.labels},
    )


def check_confirmed(rule: Filter, confusion: Mapping[str, Counter[str]]) -> None:
    """Raise UserError if the verifier hardly ever gives a label that the LLM was asked to write.

    `confusion`: asked label -> the verifier's label -> count. With filter=relabelled and soft,
    it is enough that texts written for other labels get a label.
    """
    for asked, given in confusion.items():
        total = sum(given.values())
        if rule.method in ("verified", "auto"):
            reached = given[asked]
        else:
            reached = sum(other[asked] for other in confusion.values())
        if total < rule.check_after or reached >= rule.min_confirmed * total:
            continue
        others = ", ".join(f"{label or 'no label'} {count}" for label, count in given.most_common())
        raise UserError(
            f"Label '{asked}' is hardly ever confirmed: the verifier was asked about {total} texts "
            f"written for it and gave {others} (filter.min_confirmed={rule.min_confirmed:g}). "
            f"All replies are kept.\n{WHAT_TO_DO}"
        )
