"""One attempt at one example: its turns, the cleaning of each reply, and label verification."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from japagen import llm
from japagen.dataset.reply import Reply, Tokens
from japagen.llm.finish import rejection
from japagen.synthesis import clean
from japagen.synthesis.plan import Plan
from japagen.synthesis.verification import Ask, Verifier, decide
from japagen.text.normal import normalise

PREMISE_TRIES = 10  # replies drawn for a shared sentence 1 before its example is drawn again


@dataclass
class Draft:
    """An example while it is written: its texts, the raw replies and tokens, and the reason
    against it, "" if there is none."""

    texts: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    tokens: Tokens = (0, 0)
    reason: str = ""

    def add(self, reply: llm.Completion) -> None:
        """Add a reply's text and tokens."""
        self.raw.append(reply.text)
        prompt, completion = self.tokens
        self.tokens = prompt + reply.prompt_tokens, completion + reply.completion_tokens


class Premises:
    """With prompt.premise=shared: sentence 1 of each number of the plan, one for all labels."""

    def __init__(self) -> None:
        self.drawn: dict[int, asyncio.Future[Draft]] = {}
        self.known: dict[int, str] = {}

    def forget(self, below: int) -> None:
        """Drop the numbers that no example needs any more."""
        for numbers in (self.drawn, self.known):
            for number in [number for number in numbers if number < below]:
                del numbers[number]


async def draw(
    plan: Plan,
    ask: Ask,
    premises: Premises,
    k: int,
    attempt: int,
    verifier: Verifier | None = None,
) -> Reply:
    """Return one attempt at example k, verified if there is a verifier."""
    draft = Draft()
    if plan.dataset.prompt.joint:
        await write_joint(plan, ask, k, attempt, draft)
    else:
        await write_turns(plan, ask, premises, k, attempt, draft)
    asked = plan.label(k)
    texts, raw = tuple(draft.texts), tuple(draft.raw)
    name = plan.author(k, attempt).name if plan.dataset.llm.writers else ""
    reply = Reply(k, attempt, asked, asked, texts, draft.reason, draft.tokens, raw, llm=name)
    return reply if verifier is None or reply.reason else await verify(plan, verifier, reply)


async def write_turns(
    plan: Plan, ask: Ask, premises: Premises, k: int, attempt: int, draft: Draft
) -> None:
    """Write text after text, each with those before it in the prompt."""
    if plan.dataset.prompt.premise == "shared":
        await share_premise(plan, ask, premises, k, attempt, draft)
    while not draft.reason and len(draft.texts) < len(plan.dataset.task.inputs):
        reply = await ask(plan.request(k, attempt, draft.texts))
        draft.add(reply)
        keep(plan, k, draft, reply.text, reply.finish)


async def share_premise(
    plan: Plan, ask: Ask, premises: Premises, k: int, attempt: int, draft: Draft
) -> None:
    """Begin `draft` with the number's sentence 1. The first example to need it draws it, and its
    tokens are counted there."""
    number = plan.number(k)
    if number in premises.known:
        draft.texts.append(premises.known[number])
        return
    if number not in premises.drawn:
        premises.drawn[number] = asyncio.ensure_future(draw_premise(plan, ask, k, attempt))
        drawn = await premises.drawn[number]
        draft.raw, draft.tokens = list(drawn.raw), drawn.tokens
        if drawn.reason:
            premises.drawn.pop(number, None)
    else:
        drawn = await premises.drawn[number]
    draft.texts, draft.reason = list(drawn.texts), drawn.reason


async def draw_premise(plan: Plan, ask: Ask, k: int, attempt: int) -> Draft:
    """Return sentence 1 of the number of example k: the first of PREMISE_TRIES that is clean."""
    draft = Draft()
    for tried in range(PREMISE_TRIES):
        draft.texts, draft.reason = [], ""
        reply = await ask(plan.premise_request(k, attempt, tried))
        draft.add(reply)
        keep(plan, k, draft, reply.text, reply.finish)
        if not draft.reason:
            break
    return draft


async def write_joint(plan: Plan, ask: Ask, k: int, attempt: int, draft: Draft) -> None:
    """Write all texts from the one JSON object of one reply."""
    reply = await ask(plan.joint_request(k, attempt))
    draft.add(reply)
    answer, draft.reason = normalise(reply.text)
    texts = parse_joint(answer, plan.dataset.task.inputs)
    stopped = rejection(reply.finish)
    if not draft.reason and (texts is None or stopped not in ("", "truncated")):
        draft.reason = stopped or "not_json"
    for text in texts or []:
        if not draft.reason:
            keep(plan, k, draft, text, "stop")


def parse_joint(reply: str, inputs: Sequence[str]) -> list[str] | None:
    """Return the texts of a JSON object with exactly these keys, or None."""
    found = re.search(r"\{.*\}", reply, re.DOTALL)
    try:
        data = json.loads(found.group() if found else "")
    except ValueError:
        return None
    texts = [data.get(name) for name in inputs] if isinstance(data, dict) else [None]
    strings = [text for text in texts if isinstance(text, str)]
    return strings if len(strings) == len(texts) else None


def keep(plan: Plan, k: int, draft: Draft, reply: str, finish: str) -> None:
    """Clean a reply into the next text of `draft`, or reject the draft."""
    task = plan.dataset.task
    instruction = plan.asked(k)[len(draft.texts)]
    cleaned = clean.clean(reply, finish, task.clean, instruction)
    draft.reason = cleaned.reason or repeated(plan, k, cleaned.text, draft.texts)
    draft.texts.append(cleaned.text)


def repeated(plan: Plan, k: int, text: str, before: Sequence[str]) -> str:
    """Return `same` for a text equal to one before it, `copied` for one of a shot, else ""."""
    may_repeat = plan.label(k) in plan.dataset.task.clean.same_allowed
    if not may_repeat and any(clean.same(text, other) for other in before):
        return "same"
    if any(clean.same(text, other) for _, shot in plan.shown(k) for other in shot.texts):
        return "copied"
    return ""


async def verify(plan: Plan, verifier: Verifier, reply: Reply) -> Reply:
    """Return `reply` with what the verifier answers, and the label and reason that follow."""
    found = await verifier.verify(reply.texts)
    label, reason = decide(plan.dataset.filter, plan.dataset.task, reply.asked, found)
    tokens = reply.tokens[0] + found.tokens[0], reply.tokens[1] + found.tokens[1]
    return dataclasses.replace(reply, label=label, reason=reason, tokens=tokens, verification=found)
