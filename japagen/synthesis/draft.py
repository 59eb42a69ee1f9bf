"""An example while it is written: its texts so far, and the cleaning of each reply."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from japagen import llm
from japagen.dataset.reply import Reply, Tokens
from japagen.llm.finish import restored
from japagen.synthesis import clean, prompt
from japagen.synthesis.plan import Plan


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


class Shared:
    """What all labels of a number of the plan share, from its first request until it is decided.

    With prompt.premise=shared its sentence 1, with prompt.joint=labels the reply with all texts.
    `drawn`: requests of this process. `known`: texts that the journal has. `finish`: how replies
    with all texts ended.
    """

    def __init__(self) -> None:
        self.drawn: dict[int, asyncio.Future[Any]] = {}
        self.known: dict[int, str] = {}
        self.finish: dict[int, str] = {}

    def note(self, plan: Plan, reply: Reply, undecided: int) -> None:
        """Keep what later examples need of a reply; `undecided` is the first of these."""
        prompt, number = plan.dataset.prompt, plan.number(reply.k)
        if prompt.premise == "shared" and len(reply.texts) > 1:
            self.known.setdefault(number, reply.texts[0])
        elif prompt.joint == "labels" and reply.attempt == 0 and reply.raw:
            self.known.setdefault(number, reply.raw[0])
            self.finish.setdefault(number, restored(reply.reason))
        for numbers in (self.drawn, self.known, self.finish):
            for past in [other for other in numbers if other < plan.number(undecided)]:
                del numbers[past]


def keep(plan: Plan, k: int, draft: Draft, reply: str, finish: str) -> None:
    """Clean a reply into the next text of `draft`, or reject the draft."""
    task = plan.dataset.task
    turn, asked = len(draft.texts), plan.asked(k)
    earlier = [prompt.system(task, plan.slot(k)), *asked[:turn]]
    cleaned = clean.clean(reply, finish, task.clean, asked[turn], earlier)
    draft.reason = cleaned.reason or repeated(plan, k, cleaned.text, draft.texts)
    draft.texts.append(cleaned.text)


def repeated(plan: Plan, k: int, text: str, before: Sequence[str]) -> str:
    """Return `same` for a text equal to one before it, `copied` for one of a shot, else ""."""
    may_repeat = plan.label(k) in plan.dataset.task.clean.same_allowed
    if not may_repeat and any(clean.same(text, other) for other in before):
        return "same"
    shots = [shot for _, shot in plan.shown(k)]
    if plan.dataset.prompt.joint == "labels":  # the prompt showed those of all labels
        shots += itertools.chain(*plan.shots.values())
    if any(clean.same(text, other) for shot in shots for other in shot.texts):
        return "copied"
    return ""
