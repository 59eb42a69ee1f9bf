"""One attempt at one example: its turns, the cleaning of each reply, and label verification."""

from __future__ import annotations

import asyncio
import dataclasses

from japagen.dataset.reply import Reply
from japagen.synthesis import joint
from japagen.synthesis.draft import Draft, Shared, keep
from japagen.synthesis.plan import Plan
from japagen.synthesis.verification import Ask, Verifier, decide

PREMISE_TRIES = 10  # replies drawn for a shared sentence 1 before its example is drawn again


async def draw(
    plan: Plan,
    ask: Ask,
    shared: Shared,
    k: int,
    attempt: int,
    verifier: Verifier | None = None,
) -> Reply:
    """Return one attempt at example k, verified if there is a verifier."""
    draft = Draft()
    form = plan.dataset.prompt.joint
    if form == "inputs":
        await joint.write_inputs(plan, ask, k, attempt, draft)
    elif form == "labels" and attempt == 0:
        await joint.write_label(plan, ask, shared, k, draft)
    else:
        await write_turns(plan, ask, shared, k, attempt, draft)
    asked = plan.label(k)
    texts, raw = tuple(draft.texts), tuple(draft.raw)
    name = plan.author(k, attempt).name if plan.dataset.llm.writers else ""
    reply = Reply(k, attempt, asked, asked, texts, draft.reason, draft.tokens, raw, llm=name)
    return reply if verifier is None or reply.reason else await verify(plan, verifier, reply)


async def write_turns(
    plan: Plan, ask: Ask, shared: Shared, k: int, attempt: int, draft: Draft
) -> None:
    """Write text after text, each with those before it in the prompt."""
    if plan.dataset.prompt.premise == "shared":
        await share_premise(plan, ask, shared, k, attempt, draft)
    while not draft.reason and len(draft.texts) < len(plan.dataset.task.inputs):
        reply = await ask(plan.request(k, attempt, draft.texts))
        draft.add(reply)
        keep(plan, k, draft, reply.text, reply.finish)


async def share_premise(
    plan: Plan, ask: Ask, shared: Shared, k: int, attempt: int, draft: Draft
) -> None:
    """Begin `draft` with the number's sentence 1. The first example to need it draws it, and its
    tokens are counted there."""
    number = plan.number(k)
    if number in shared.known:
        draft.texts.append(shared.known[number])
        return
    if number not in shared.drawn:
        shared.drawn[number] = asyncio.ensure_future(draw_premise(plan, ask, k, attempt))
        drawn = await shared.drawn[number]
        draft.raw, draft.tokens = list(drawn.raw), drawn.tokens
        if drawn.reason:
            shared.drawn.pop(number, None)
    else:
        drawn = await shared.drawn[number]
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


async def verify(plan: Plan, verifier: Verifier, reply: Reply) -> Reply:
    """Return `reply` with what the verifier answers, and the label and reason that follow."""
    found = await verifier.verify(reply.texts)
    label, reason = decide(plan.dataset.filter, plan.dataset.task, reply.asked, found)
    tokens = reply.tokens[0] + found.tokens[0], reply.tokens[1] + found.tokens[1]
    return dataclasses.replace(reply, label=label, reason=reason, tokens=tokens, verification=found)
