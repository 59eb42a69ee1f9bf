"""Label verification: a verifier is asked which label an example has, and the filter decides."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from japagen import llm
from japagen.config.schema import Filter
from japagen.config.task import Task
from japagen.dataset.identity import Dataset
from japagen.dataset.reply import Verification
from japagen.gold import load
from japagen.gold.example import Example
from japagen.llm import finish, question

log = logging.getLogger(__name__)

# Reasons of decide() against a text.
REASONS = ("disagreed", "uncertain", "no_probabilities", "no_verdict")
MAX_CHARS = 400  # of each text that a verifier reads

Ask = Callable[[llm.Request], Awaitable[llm.Completion]]
Shots = Sequence[tuple[Sequence[str], str]]  # texts and label


class Verifier(Protocol):
    """What answers which label an example has."""

    async def verify(self, texts: Sequence[str]) -> Verification:
        """Return the label of an example, given as the texts of task.inputs."""

    def close(self) -> None:
        """Cancel pending questions and free what was opened."""


class LLMVerifier:
    """Asks the LLM the question of `evaluate.py subject=prompting`.

    `prior`: the probabilities of the labels for texts without content, by which an answer's are
    divided (question.calibrate); empty for none.
    """

    def __init__(
        self, ask: Ask, task: Task, chat: bool, shots: Shots = (), prior: Sequence[float] = ()
    ) -> None:
        self.ask, self.task, self.prior = ask, task, tuple(prior)
        self.request = functools.partial(
            question.request, task, shots=shots, chat=chat, max_chars=MAX_CHARS, top=question.TOP
        )

    async def verify(self, texts: Sequence[str]) -> Verification:
        """Return the label that the LLM gives, with probabilities where the engine has them."""
        began = time.perf_counter()
        reply = await self.ask(self.request(texts))
        shares = question.probabilities(reply.top, self.task)
        if shares and self.prior:
            shares = question.calibrated(shares, self.prior)
        return Verification(
            label=question.label(finish.answer(reply.text, reply.finish), shares, self.task),
            probabilities=tuple(round(share, 6) for share in shares),
            tokens=(reply.prompt_tokens, reply.completion_tokens),
            seconds=round(time.perf_counter() - began, 4),
            answer=reply.text,
        )

    def close(self) -> None:
        """The engine belongs to the job."""


class StudentVerifier:
    """Asks a student that train.py saved, in a thread of its own. Raises UserError if it cannot."""

    def __init__(self, folder: str, task: Task) -> None:
        from japagen.student.labeller import Labeller

        self.task, self.student = task, Labeller(folder, task, f"filter.student={folder}")
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="verifier")

    async def verify(self, texts: Sequence[str]) -> Verification:
        """Return the label that the student gives; other replies arrive meanwhile."""
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        (found,) = await loop.run_in_executor(self.thread, self.student.label, [texts])
        seconds = round(time.perf_counter() - began, 4)
        return Verification(self.task.labels[found.number], found.probabilities, (0, 0), seconds)

    def close(self) -> None:
        """Cancel pending questions and stop the thread."""
        self.thread.shutdown(cancel_futures=True)


class Counted:
    """Asks the LLM and counts the tokens: `tokens` of prompts and completions.

    `check` is called before each question.
    """

    def __init__(self, ask: Ask, tokens: Sequence[int], check: Callable[[], None]) -> None:
        self.ask, self.tokens, self.check = ask, list(tokens), check

    async def __call__(self, request: llm.Request) -> llm.Completion:
        """Return the LLM's reply."""
        self.check()
        reply = await self.ask(request)
        self.tokens[0] += reply.prompt_tokens
        self.tokens[1] += reply.completion_tokens
        return reply


@dataclass(frozen=True)
class GoldRows:
    """Gold train rows of a label filter: `shots` shown in the question, `rows` to measure it on."""

    shots: Shots
    rows: Sequence[Example]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the shots, "" without any."""
        text = json.dumps([[*texts, label] for texts, label in self.shots])
        return hashlib.sha256(text.encode()).hexdigest()[:16] if self.shots else ""


def gold_rows(dataset: Dataset, gold_dir: str | None, measuring: bool) -> GoldRows:
    """Return filter.shots rows of each label and, if `measuring`, filter.dev_rows others."""
    rule, task = dataset.filter, dataset.task
    dev_rows = rule.dev_rows if measuring else 0
    if not rule.shots + dev_rows:
        return GoldRows((), ())
    option = "filter.shots + filter.dev_rows" if dev_rows else "filter.shots"
    rows = load.load(task, "train", gold_dir)
    drawn = load.draw_shots(rows, task, rule.shots + dev_rows, dataset.seed, option=option)
    shots = {label: found[: rule.shots] for label, found in drawn.items()}
    others = [row for found in drawn.values() for row in found[rule.shots :]]
    return GoldRows(question.demonstrations(shots, dataset.seed), others)


async def content_free_prior(ask: Ask, task: Task, chat: bool, shots: Shots) -> tuple[float, ...]:
    """Return the mean probabilities that the LLM gives the labels of texts without content.

    Zhao et al. 2021, "Calibrate Before Use", section 4. Empty if the engine has no probabilities.
    """
    verifier = LLMVerifier(ask, task, chat, shots)
    found = [await verifier.verify(texts) for texts in question.content_free(task)]
    rows = [answer.probabilities for answer in found]
    if not all(rows):
        log.warning(question.NO_PRIOR)
        return ()
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def decide(rule: Filter, task: Task, asked: str, found: Verification) -> tuple[str, str]:
    """Return (the label of a text that was asked for as `asked`, the reason to reject it or "")."""
    if not found.label:
        return asked, "no_verdict"
    if not found.probabilities and (rule.method == "soft" or rule.min_probability):
        return asked, "no_probabilities"
    sure = found.probabilities[task.labels.index(found.label)] if found.probabilities else 1.0
    if sure < rule.min_probability:
        return asked, "uncertain"
    if rule.method in ("relabelled", "soft"):
        return found.label, ""
    away = abs(task.labels.index(asked) - task.labels.index(found.label))
    allowed = rule.tolerance if task.kind == "regression" else 0
    return asked, "" if away <= allowed else "disagreed"
