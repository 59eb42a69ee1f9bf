"""Whether a verifier can be trusted: its accuracy on gold rows, and the labels it confirms."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from japagen.config.error import UserError
from japagen.config.schema import Filter
from japagen.config.task import Task
from japagen.dataset.reply import Verification
from japagen.gold.example import Example, nearest
from japagen.synthesis.counts import Tally, counts_text
from japagen.synthesis.verification import REASONS, Verifier, decide

log = logging.getLogger(__name__)

WHAT_TO_DO = (
    "Add question.calibrate=true, or filter.shots=4 if there are gold rows, or choose another "
    "LLM; filter=none keeps what the LLM writes; filter.min_confirmed=0 does not stop."
)
NO_PROBABILITIES = (
    "filter=soft and filter.min_probability need probabilities. The verifier gives none, or the "
    "first token of its answers begins several labels: use filter=relabelled with "
    "filter.min_probability=0, or an engine with token probabilities."
)


@dataclass(frozen=True)
class Reliability:
    """How a verifier labels gold development rows.

    `recall`: the share of each label's rows that the filter would keep. `answered`: the share of
    all answers that each label gets, which shows a verifier that prefers one label. `constant`: the
    mean recall of a verifier that always gives the best one answer, 1 / number of labels without a
    tolerance.
    """

    rows: int
    recall: dict[str, float]
    answered: dict[str, float]
    constant: float

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall."""
        return sum(self.recall.values()) / len(self.recall)

    @property
    def trusted(self) -> bool:
        """Whether the balanced accuracy is nearer to 1 than to that of one constant answer."""
        return self.balanced_accuracy > (1 + self.constant) / 2

    def report(self) -> dict[str, Any]:
        """Return the figures for the manifest."""
        figures: dict[str, Any] = {
            "rows": self.rows,
            "balanced_accuracy": round(self.balanced_accuracy, 4),
        }
        figures |= {"recall": self.recall, "answered": self.answered}
        return figures | {"trusted": self.trusted}


async def measure(
    verifier: Verifier, rows: Sequence[Example], rule: Filter, task: Task, concurrency: int
) -> dict[str, Any]:
    """Ask `verifier` about gold rows, at most `concurrency` at once; return Reliability.report().

    It is right where the filter would keep a text with its gold label, however sure it is.
    """
    slots, rule = asyncio.Semaphore(concurrency), replace(rule, min_probability=0.0)

    async def ask(row: Example) -> Verification:
        async with slots:
            return await verifier.verify(row.texts)

    questions = [asyncio.ensure_future(ask(row)) for row in rows]
    try:
        answers = await asyncio.gather(*questions)
    finally:
        for question in questions:  # after a failure, no more are asked
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)
    gold = [nearest(row.label, task) if task.kind == "regression" else row.label for row in rows]
    totals, right = Counter(gold), Counter[str]()
    for label, answer in zip(gold, answers, strict=True):
        right[label] += decide(rule, task, label, answer) == (label, "")
    given = Counter(answer.label for answer in answers)
    found = Reliability(
        rows=len(rows),
        recall={name: round(right[name] / totals[name], 4) for name in task.labels if totals[name]},
        answered={name: round(given[name] / len(rows), 4) for name in task.labels},
        constant=constant(rule, task, [name for name in task.labels if totals[name]]),
    )
    return found.report()


def is_trusted(rule: Filter, found: Mapping[str, Any]) -> bool:
    """Log what measure() found; False if filter=auto must not use this verifier."""
    trusted = bool(found["trusted"]) or rule.method != "auto"
    say = log.info if found["trusted"] else log.warning
    say(
        "the verifier labels %d gold rows with a balanced accuracy of %.2f (recall: %s)%s",
        found["rows"],
        found["balanced_accuracy"],
        ", ".join(f"{label} {share:.2f}" for label, share in found["recall"].items()),
        "" if trusted else ": filter=auto falls back to filter=none",
    )
    return trusted


def constant(rule: Filter, task: Task, labels: Sequence[str]) -> float:
    """Return the largest share of `labels` that the filter keeps if the answer is always one."""
    kept = Counter(
        answer
        for answer in task.labels
        for label in labels
        if decide(rule, task, label, Verification(answer, certain(task, answer))) == (label, "")
    )
    return max(kept.values(), default=0) / max(1, len(labels))


def certain(task: Task, answer: str) -> tuple[float, ...]:
    """Return a probability of 1 for one label."""
    return tuple(float(label == answer) for label in task.labels)


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
        rejected = counts_text({name: count for name, count in reasons.items() if count})
        mostly = max(reasons, key=lambda reason: reasons[reason])
        raise UserError(
            f"Label '{asked}' is hardly ever confirmed: the verifier was asked about {total} texts "
            f"written for it and gave {others}; rejected: {rejected} "
            f"(filter.min_confirmed={rule.min_confirmed:g}). All replies are kept.\n"
            + (NO_PROBABILITIES if mostly == "no_probabilities" else WHAT_TO_DO)
        )
