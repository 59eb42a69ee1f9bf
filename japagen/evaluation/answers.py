"""The LLM's answers to gold rows: collected in a journal, read as predictions."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from japagen.config.error import UserError
from japagen.config.schema import LLM
from japagen.config.task import Task
from japagen.dataset.journal import Journal
from japagen.gold.example import Example
from japagen.llm import Completion, Request, finish, question

log = logging.getLogger(__name__)

LOG_SECONDS = 30.0  # between two lines on the progress

Entry = dict[str, Any]


@dataclass
class Answers:
    """The answers in the journal, of this job and of earlier ones.

    `paid`: (prompt, completion) tokens of all answers. `spent`: (seconds, answers) of all jobs,
    without loading the model. `new`: answers of this job.
    """

    by_row: dict[str, Entry] = field(default_factory=dict)
    paid: tuple[int, int] = (0, 0)
    spent: tuple[float, int] = (0.0, 0)
    new: int = 0

    def add(self, entry: Entry) -> None:
        """Add a line of the journal: an answer, or what a job spent."""
        if "id" in entry:
            self.by_row[entry["row"]] = entry
            self.paid = (self.paid[0] + entry["tokens"][0], self.paid[1] + entry["tokens"][1])
        else:
            self.spent = (self.spent[0] + entry["seconds"], self.spent[1] + entry["answers"])

    def missing(self, rows: Sequence[Example]) -> list[Example]:
        """The rows without an answer."""
        return [row for row in rows if row_key(row) not in self.by_row]

    def tokens(self, rows: Sequence[Example]) -> tuple[int, int]:
        """(prompt, completion) tokens of these rows."""
        counts = [self.by_row[row_key(row)]["tokens"] for row in rows]
        return sum(prompt for prompt, _ in counts), sum(completion for _, completion in counts)


@dataclass
class Collector:
    """Writes each answer to the journal as it arrives; logs the progress and limits the cost."""

    journal: Journal
    answers: Answers
    llm: LLM
    expected: int  # answers of this job
    begin: float = 0.0
    logged: float = 0.0

    def start(self) -> None:
        """Start the clock, once the model is loaded."""
        self.begin = self.logged = time.monotonic()

    def add(self, row: Example, request: Request, reply: Completion) -> None:
        """Store an answer. Raises UserError at the spending limit while answers are missing."""
        self.write(entry_of(row, request, reply))
        self.answers.new += 1
        if self.answers.new < self.expected:
            check_cost(self.llm, self.answers)
        now = time.monotonic()
        if now - self.logged > LOG_SECONDS:
            self.logged = now
            rate = self.answers.new / (now - self.begin)
            log.info("answered %d of %d, %.2f/s", self.answers.new, self.expected, rate)

    def stop(self) -> None:
        """Store how long this job took, whether it ends or is stopped."""
        seconds = round(time.monotonic() - self.begin, 6)
        self.write({"seconds": seconds, "answers": self.answers.new})

    def write(self, entry: Entry) -> None:
        """Write a line of the journal and remember it."""
        self.journal.write(entry)
        self.answers.add(entry)


def entry_of(row: Example, request: Request, reply: Completion) -> Entry:
    """A line of the journal for an answer."""
    entry = {
        "id": row.id,
        "row": row_key(row),
        "reply": finish.answer(reply.text, reply.finish),
        "tokens": [reply.prompt_tokens, reply.completion_tokens],
    }
    begun = {
        token: round(value, 5)
        for token, value in reply.top.items()
        if token and question.begins_one(token, request.choices)
    }
    if not begun:
        return entry
    return {**entry, "top": begun, "least": round(question.absent(reply.top), 5)}


def row_key(row: Example) -> str:
    """16 hexadecimal digits of a row's id and texts: an edited row is asked about again."""
    return hashlib.blake2b("\x1f".join([row.id, *row.texts]).encode(), digest_size=8).hexdigest()


def dollars(llm: LLM, tokens: tuple[int, int]) -> float:
    """The price of (prompt, completion) tokens in US dollars."""
    return (tokens[0] * llm.price_prompt + tokens[1] * llm.price_completion) / 1e6


def check_cost(llm: LLM, answers: Answers) -> None:
    """Raise UserError at the spending limit, which is for all answers in the journal."""
    spent = dollars(llm, answers.paid)
    if llm.max_cost is not None and spent >= llm.max_cost:
        raise UserError(
            f"The spending limit llm.max_cost={llm.max_cost} US dollars is reached: {spent:.4f} "
            f"spent on {len(answers.by_row)} answers. All answers are stored; "
            f"to continue, add llm.max_cost={2 * llm.max_cost:g}"
        )


def probabilities(entry: Entry, task: Task) -> tuple[float, ...]:
    """The probability of each label in an answer; () if unknown."""
    return question.probabilities(entry.get("top", {}), task, entry.get("least"))


def prior(answers: Mapping[str, Entry], rows: Sequence[Example], task: Task) -> tuple[float, ...]:
    """The mean probability of each label in the answers to rows without content; () if unknown."""
    known = [probabilities(answers[row_key(row)], task) for row in rows]
    if not known or not all(known):
        return ()
    return tuple(sum(column) / len(known) for column in zip(*known, strict=True))


def predicted(entry: Entry, task: Task, base: Sequence[float] = ()) -> str | float | None:
    """The label or score in an answer; None if it has none.

    For regression the mean of the levels weighted by their probability, where the engine gives it.
    `base`: the prior by which probabilities are divided (question.calibrate).
    """
    shares = probabilities(entry, task) if base else ()
    if shares:
        shares = question.calibrated(shares, base)
        if task.kind == "classification":
            return question.label("", shares, task)
        levels = map(float, task.labels)
        return round(sum(level * share for level, share in zip(levels, shares, strict=True)), 4)
    label = question.read(entry["reply"], task)
    if task.kind == "classification" or label is None:
        return label
    mean = question.expected(entry.get("top", {}), task)
    return float(label) if mean is None else round(mean, 4)


def predictions(
    answers: Mapping[str, Entry], rows: Sequence[Example], task: Task, base: Sequence[float] = ()
) -> list[dict[str, Any]]:
    """(id, gold, predicted) of each row; `predicted` is None where the reply has no label."""
    return [
        {"id": row.id, "gold": row.label, "predicted": predicted(answers[row_key(row)], task, base)}
        for row in rows
    ]


def costs(answers: Answers, rows: Sequence[Example], llm: LLM) -> dict[str, float]:
    """Tokens, dollars and seconds of the answers to these rows."""
    prompt, completion = answers.tokens(rows)
    metrics = {
        "prompt_tokens": float(prompt),
        "completion_tokens": float(completion),
        "cost/dollars_per_1000": 1000 * dollars(llm, (prompt, completion)) / len(rows),
    }
    seconds, number = answers.spent
    if seconds > 0 and number:
        metrics["evaluate/examples_per_second"] = number / seconds
        metrics["cost/seconds_per_1000"] = 1000 * seconds / number
    return metrics
