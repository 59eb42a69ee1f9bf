"""prompt.joint: several texts in the JSON object of one reply."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence

from japagen.llm.finish import rejection
from japagen.synthesis.draft import Draft, Shared, keep
from japagen.synthesis.plan import Plan
from japagen.synthesis.verification import Ask
from japagen.text.normal import normalise


async def write_inputs(plan: Plan, ask: Ask, k: int, attempt: int, draft: Draft) -> None:
    """Write all texts of example k from one reply."""
    reply = await ask(plan.joint_request(k, attempt))
    draft.add(reply)
    read(plan, k, draft, reply.text, reply.finish)


async def write_label(plan: Plan, ask: Ask, shared: Shared, k: int, draft: Draft) -> None:
    """Write example k from the reply for all labels of its number.

    The first example to need the reply draws it, and its tokens are counted there.
    """
    number = plan.number(k)
    if number in shared.known:
        read(plan, k, draft, shared.known[number], shared.finish[number])
        return
    first = number not in shared.drawn
    if first:
        shared.drawn[number] = asyncio.ensure_future(ask(plan.labels_request(k)))
    reply = await shared.drawn[number]
    if first:
        draft.add(reply)
    read(plan, k, draft, reply.text, reply.finish)


def read(plan: Plan, k: int, draft: Draft, reply: str, finish: str) -> None:
    """Clean the texts of example k in a reply into `draft`, or reject the draft."""
    answer, draft.reason = normalise(reply)
    keys = plan.dataset.task.inputs
    if plan.dataset.prompt.joint == "labels":
        keys = [*keys[:-1], plan.label(k)]
    texts = parse(answer, keys)
    stopped = rejection(finish)
    if not draft.reason and (texts is None or stopped not in ("", "truncated")):
        draft.reason = stopped or "not_json"
    for text in texts or []:
        if not draft.reason:
            keep(plan, k, draft, text, "stop")


def parse(reply: str, keys: Sequence[str]) -> list[str] | None:
    """Return the texts under these keys of a JSON object, or None if one is missing."""
    found = re.search(r"\{.*\}", reply, re.DOTALL)
    try:
        data = json.loads(found.group() if found else "")
    except (ValueError, RecursionError):  # no JSON, or brackets nested too deeply
        return None
    texts = [data.get(key) for key in keys] if isinstance(data, dict) else [None]
    strings = [text for text in texts if isinstance(text, str)]
    return strings if len(strings) == len(texts) else None
