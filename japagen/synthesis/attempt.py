"""One attempt at one example: its turns, the cleaning of each reply, and the filter."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from japagen import llm
from japagen.llm.finish import rejection
from japagen.synthesis import clean
from japagen.synthesis.filter import Verdict
from japagen.synthesis.plan import Plan

Ask = Callable[[llm.Request], Awaitable[llm.Completion]]
Judge = Callable[[Sequence[str]], Awaitable[Verdict]]


@dataclass
class Draft:
    """The texts so far, the raw replies, [prompt, completion] tokens, and why the draft is rejected ("" while it is not)."""

    texts: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    reason: str = ""
    judged: list[float] = field(default_factory=list)
    soft: tuple[float, ...] = ()

    def count(self, reply: llm.Completion) -> None:
        """Remember a paid-for reply."""
        self.raw.append(reply.text)
        self.tokens = [
            self.tokens[0] + reply.prompt_tokens,
            self.tokens[1] + reply.completion_tokens,
        ]

    def entry(self, k: int, attempt: int, label: str) -> dict[str, Any]:
        """The journal's entry; raw replies stand in it where they differ from the texts."""
        entry = {
            "k": k,
            "attempt": attempt,
            "label": label,
            "reason": self.reason,
            "texts": self.texts,
            "tokens": self.tokens,
        }
        if self.raw != self.texts:
            entry["raw"] = self.raw
        if self.judged:
            entry["judged"] = self.judged
        if self.soft:
            entry["soft"] = self.soft
        return entry


class Premises:
    """With prompt.premise=shared: sentence 1 of each number of the plan, drawn once for all labels."""

    def __init__(self) -> None:
        self.drawn: dict[int, asyncio.Future[Draft]] = {}
        self.known: dict[int, str] = {}

    def forget(self, below: int) -> None:
        """Drop what no example needs any more."""
        for numbers in (self.drawn, self.known):
            for number in [number for number in numbers if number < below]:
                del numbers[number]


async def draw(
    plan: Plan, ask: Ask, premises: Premises, k: int, attempt: int, judge: Judge | None = None
) -> dict[str, Any]:
    """One attempt at example k: the journal's entry for it. The filter asks `judge`, or else the LLM."""
    draft = Draft()
    if plan.config.prompt.joint:
        await write_joint(plan, ask, k, attempt, draft)
    else:
        await write_turns(plan, ask, premises, k, attempt, draft)
    if not draft.reason and plan.config.filter.verify:
        await verify(plan, ask, k, draft, judge)
    return draft.entry(k, attempt, plan.label(k))


async def write_turns(
    plan: Plan, ask: Ask, premises: Premises, k: int, attempt: int, draft: Draft
) -> None:
    """Text after text, each with those before it in view."""
    if plan.config.prompt.premise == "shared":
        await share_premise(plan, ask, premises, k, attempt, draft)
    while not draft.reason and len(draft.texts) < len(plan.config.task.inputs):
        reply = await ask(plan.request(k, attempt, draft.texts))
        draft.count(reply)
        keep(plan, k, draft, reply.text, reply.finish)


async def share_premise(
    plan: Plan, ask: Ask, premises: Premises, k: int, attempt: int, draft: Draft
) -> None:
    """Begin `draft` with the number's sentence 1; whoever needs it first draws it, and its tokens are counted there."""
    number = plan.number(k)
    if number in premises.known:
        draft.texts.append(premises.known[number])
        return
    if number not in premises.drawn:
        premises.drawn[number] = asyncio.ensure_future(draw_premise(plan, ask, k, attempt))
        drawn = await premises.drawn[number]
        draft.raw, draft.tokens = list(drawn.raw), list(drawn.tokens)
        if drawn.reason:
            premises.drawn.pop(number, None)
    else:
        drawn = await premises.drawn[number]
    draft.texts, draft.reason = list(drawn.texts), drawn.reason


async def draw_premise(plan: Plan, ask: Ask, k: int, attempt: int) -> Draft:
    """Sentence 1 of the number of example k, tried until it is clean or max_attempts are used up; other seeds for each `attempt`."""
    draft = Draft()
    tries = plan.config.max_attempts
    for tried in range(attempt * tries, (attempt + 1) * tries):
        draft.texts, draft.reason = [], ""
        reply = await ask(plan.request(k, tried, []))
        draft.count(reply)
        keep(plan, k, draft, reply.text, reply.finish)
        if not draft.reason:
            break
    return draft


async def write_joint(plan: Plan, ask: Ask, k: int, attempt: int, draft: Draft) -> None:
    """All texts from the one JSON object of one reply."""
    reply = await ask(plan.joint_request(k, attempt))
    draft.count(reply)
    texts = parse_joint(reply.text, plan.config.task.inputs)
    stopped = rejection(reply.finish)
    if texts is None or stopped not in ("", "truncated"):
        draft.reason = stopped or "not_json"
    for text in texts or []:
        if not draft.reason:
            keep(plan, k, draft, text, "stop")


def parse_joint(reply: str, inputs: Sequence[str]) -> list[str] | None:
    """The texts of a JSON object with exactly these keys, or None."""
    found = re.search(r"\{.*\}", reply, re.DOTALL)
    try:
        data = json.loads(found.group() if found else "")
    except ValueError:
        return None
    texts = [data.get(name) for name in inputs] if isinstance(data, dict) else [None]
    return (
        [text for text in texts if isinstance(text, str)]
        if all(isinstance(text, str) for text in texts)
        else None
    )


def keep(plan: Plan, k: int, draft: Draft, reply: str, finish: str) -> None:
    """Clean a reply into the next text of `draft`, or reject the draft."""
    task = plan.config.task
    cleaned = clean.clean(reply, finish, task.clean, plan.asked(k)[len(draft.texts)], task.labels)
    draft.reason = cleaned.reason
    if (
        not draft.reason
        and plan.label(k) not in task.clean.same_allowed
        and any(clean.same(cleaned.text, text) for text in draft.texts)
    ):
        draft.reason = "same"
    if not draft.reason and any(
        clean.same(cleaned.text, text) for _, shot in plan.shown(k) for text in shot.texts
    ):
        draft.reason = "copied"
    draft.texts.append(cleaned.text)


async def verify(plan: Plan, ask: Ask, k: int, draft: Draft, judge: Judge | None) -> None:
    """Reject the draft unless the judge, asked which label its texts have, gives the one it was written for."""
    labels, before, began = plan.config.task.labels, list(draft.tokens), time.perf_counter()
    verdict = await (judge(draft.texts) if judge else ask_llm(plan, ask, draft))
    # Seconds of one question; others are asked meanwhile.
    seconds = round(time.perf_counter() - began, 4)
    draft.judged, draft.soft = (
        [draft.tokens[0] - before[0], draft.tokens[1] - before[1], seconds],
        verdict.probabilities,
    )
    away = abs(labels.index(plan.label(k)) - verdict.label)
    if not 0 <= verdict.label < len(labels):
        draft.reason = "no_verdict"
    elif away > (plan.config.filter.tolerance if plan.config.task.kind == "regression" else 0):
        draft.reason = "disagreed"


async def ask_llm(plan: Plan, ask: Ask, draft: Draft) -> Verdict:
    """The label that the LLM gives the texts of a draft."""
    reply = await ask(plan.verify_request(draft.texts))
    draft.count(reply)
    found = re.search(r"\d+", reply.text)
    return Verdict(int(found.group()) - 1 if found else -1)
