"""Whether a verifier can be trusted: its accuracy on gold rows, and the labels it confirms."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from japagen.config.error import UserError
from japagen.config.schema import Filter
from japagen.config.task import Task
from japagen.dataset.reply import Verification
from japagen.gold.example import Example, nearest
from japagen.synthesis.counts import Tally, counts_text
from japagen.synthesis.verification import REASONS, Verifier, decide

WHAT_TO_DO = (
    "Add question.calibrate=true, or filter.shots=4 if there are gold rows, or choose another "
    "LLM; filter=none keeps what the LLM writes; filter.min_confirmed=0 goes on regardless."
)
NO_PROBABILITIES = (
    "The verifier gives no probabilities, which filter=soft and filter.min_probability need: use "
    "filter=relabelled with filter.min_probability=0, or an engine with token probabilities."
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
    verifier: Verifier, rows: Sequence[Example], rule: Filter, task: Task, concurrency: int
) -> Reliability:
    """Ask `verifier` about gold rows, at most `concurrency` at once.

    It is right where the filter would keep a text with its gold label, however sure it is.
    """
    slots, rule = asyncio.Semaphore(concurrency), replace(rule, min_probability=0.0)

    async def ask(row: Example) -> Verification:
        async with slots:
            return await verifier.verify(row.texts)

    answers = await asyncio.gather(*(ask(row) for row in rows))
    gold = [nearest(row.label, task) if task.kind == "regression" else row.label for row in rows]
    totals, right = Counter(gold), Counter[str]()
    for label, answer in zip(gold, answers, strict=True):
        right[label] += decide(rule, task, label, answer) == (label, "")
    given = Counter(answer.label for answer in answers)
    return Reliability(
        rows=len(rows),
        recall={name: round(right[name] / totals[name], 4) for name in task.labels if totals[name]},
        answered={name: round(given[name] / len(rows), 4) for name in task.labels},
    )


def check_confirmed(rule: Filter, tally: Tally) -> None:
    """Raise UserError if the filter keeps hardly any of the texts written for a label.

    With filter=relabelled and soft, texts written for other labels count as well, if they get it.
    """
    for asked, given in tally.confusion.items():
        total = sum(given.values())
        if total < rule.check_after or tally.kept[asked] >= rule.min_confirmed * total:
            continue
        others = ", ".join(f"{label or 'no label'} {count}" for label, count in given.most_common())
        reasons = {reason: tally.rejected[asked][reason] for reason in REASONS}
        rejected = counts_text(Counter({name: n for name, n in reasons.items() if n}))
        raise UserError(
            f"Label '{asked}' is hardly ever confirmed: the verifier was asked about {total} texts "
            f"written for it and gave {others}; rejected: {rejected} "
            f"(filter.min_confirmed={rule.min_confirmed:g}). All replies are kept.\n"
            + (NO_PROBABILITIES if reasons["no_probabilities"] else WHAT_TO_DO)
        )
