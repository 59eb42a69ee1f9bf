"""Slot values that the LLM proposes: asked for in several requests, filtered, kept in a file."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from japagen import llm
from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.dataset import knowledge
from japagen.dataset.identity import Dataset
from japagen.job import loop
from japagen.llm.finish import rejection
from japagen.llm.retry import Retry
from japagen.student import vectors
from japagen.synthesis import clean, prompt
from japagen.synthesis.counts import counts_text
from japagen.synthesis.facts import Facts
from japagen.text.japanese import has_simplified
from japagen.text.normal import normalise

log = logging.getLogger(__name__)

ASKED = 20  # values in one request
EXAMPLES = 3  # of the task's own values in one request
LONGEST = 20  # characters of a value
TOKENS = 400  # limit of a reply
EDITOR = "あなたは文章の題材を考える編集者です。一行に一つずつ、番号と言葉だけを書きます。"
ASK = """これから、次の依頼で文章をたくさん書いてもらいます。
依頼：{system}{sentence}
〇〇に入る言葉の一覧を作ります。互いに似ていない言葉になるように、続きを{last}番まで書いてください。
{examples}"""
SEPARATORS, LINES = re.compile(r"[\n、,，]+"), re.compile(r"\n+")


def with_values(dataset: Dataset) -> Dataset:
    """Return the dataset with the slot values of its folder's file; asks the LLM if it has none.

    The method is that of Yu et al. 2023, "Large Language Model as Attributed Training Data
    Generator" (AttrPrompt). With knowledge=hand, the dataset is returned as it is.
    """
    from filelock import FileLock

    if dataset.values.name != "llm":
        return dataset
    path = dataset.folder / knowledge.KNOWLEDGE
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # two processes must not propose different values
        if not path.exists():
            loop.run(propose(dataset, path))
    return known(dataset)


def known(dataset: Dataset) -> Dataset:
    """Return the dataset with the slot values of its folder's file, if there is one."""
    own = dataset.task.knowledge
    content = knowledge.read(dataset.folder / knowledge.KNOWLEDGE)
    if dataset.values.name != "llm" or own is None or content is None:
        return dataset
    slot = dataclasses.replace(own, values=content["values"])
    return dataclasses.replace(dataset, task=dataclasses.replace(dataset.task, knowledge=slot))


def note(dataset: Dataset, facts: Facts) -> None:
    """Write the values to the journal; UserError if it was begun with others."""
    knowledge.check(dataset.folder, facts.known)
    content = knowledge.read(dataset.folder / knowledge.KNOWLEDGE)
    if dataset.values.name == "llm" and content is not None and "knowledge" not in facts.known:
        facts.record("knowledge", knowledge.fact(content))


async def propose(dataset: Dataset, path: Path) -> None:
    """Ask the LLM for slot values and write them. Raises UserError if fewer than two are usable."""
    options, rule = dataset.llm.each[0], dataset.values
    engine = llm.load(options)
    slots = asyncio.Semaphore(options.concurrency)
    answer = Retry(engine).answer

    async def ask(number: int) -> llm.Completion:
        async with slots:
            return await answer(request(dataset, number))

    try:
        replies = await asyncio.gather(*(ask(number) for number in range(rule.requests)))
    finally:
        await engine.close()
    values, rejected = accepted(replies, dataset.task)
    values, strange = fitting(values, dataset.task)
    rejected += Counter(off_task=strange)
    if len(values) < 2:
        raise UserError(
            f"{options.name} proposed {len(values)} usable slot values in {rule.requests} requests "
            f"(rejected: {counts_text(rejected)}); two or more are needed: use knowledge=hand, "
            f"another llm, or write the values to {path} yourself, e.g. values: [犬, 猫]"
        )
    prompts = sum(reply.prompt_tokens for reply in replies)
    tokens = (prompts, sum(reply.completion_tokens for reply in replies))
    knowledge.write(path, values[: rule.values], options.name, tokens)
    kept, lost = min(len(values), rule.values), counts_text(rejected)
    log.info("%s: %d slot values by %s; rejected: %s", path, kept, options.name, lost)


def request(dataset: Dataset, number: int) -> llm.Request:
    """Return the request with this number: its own seed, and its own examples of values."""
    draw = random.Random(f"{dataset.seed} values {number}")
    own = dataset.task.knowledge
    if own is None:
        raise TypeError("the task has no knowledge")
    # A list to continue: asked for a number of words, small LLMs answer as many as the examples.
    shown = draw.sample(own.values, min(EXAMPLES, len(own.values)))
    text = ASK.format(
        system=prompt.system(dataset.task),
        sentence=own.sentence.replace("{slot}", "〇〇"),
        last=len(shown) + ASKED,
        examples="\n".join(f"{place}. {value}" for place, value in enumerate(shown, 1)),
    )
    seed = draw.getrandbits(31)
    if dataset.llm.each[0].chat:
        messages = tuple(prompt.messages([text], [], [], EDITOR))
        return llm.Request(messages=messages, seed=seed, max_tokens=TOKENS)
    whole = prompt.completion_text([text], [], [], EDITOR)
    return llm.Request(text=whole, seed=seed, max_tokens=TOKENS)


def accepted(replies: list[llm.Completion], task: Task) -> tuple[list[str], Counter[str]]:
    """Return the usable values, each once, the first of each reply first; and why others are not.

    So a reply with many values does not push out those of the others.
    """
    rejected: Counter[str] = Counter()
    own = task.knowledge.values if task.knowledge is not None else []
    separators = LINES if any(map(SEPARATORS.search, own)) else SEPARATORS
    lists = [list(items(reply, rejected, separators)) for reply in replies]
    found: dict[str, str] = {}
    for place in range(max(map(len, lists), default=0)):
        for values in lists:
            if place >= len(values):
                continue
            value, reason = values[place], unusable(values[place], task)
            if not reason and value.casefold() in found:
                reason = "duplicate"
            if reason:
                rejected[reason] += 1
            else:
                found[value.casefold()] = value
    return list(found.values()), rejected


def fitting(values: list[str], task: Task) -> tuple[list[str], int]:
    """Return the values that fit the task, in the same order, and the number of the others.

    A value fits if one of the task's own values is as near to it as those are to each other: its
    cosine to the nearest is at least the median of theirs. At least half of the values are kept.
    Without the embedded encoder all are.
    """
    own = task.knowledge.values if task.knowledge else []
    if len(own) < EXAMPLES or not values:
        return values, 0
    try:
        cosines = vectors.cosines([*own, *values], own)
    except UserError as error:
        log.warning("slot values are not checked for their fit with the task: %s", error)
        return values, 0
    nearest = [max(row) for row in cosines[len(own) :]]
    known = [sorted(row)[-2] for row in cosines[: len(own)]]  # the nearest is the value itself
    enough = min(statistics.median(known), statistics.median(nearest))
    kept = [value for value, near in zip(values, nearest, strict=True) if near >= enough]
    return kept, len(values) - len(kept)


def items(
    reply: llm.Completion, rejected: Counter[str], separators: re.Pattern[str]
) -> Iterator[str]:
    """Yield the values that a reply lists; a refused or unfinished one has none."""
    stopped = rejection(reply.finish)
    text, damage = normalise(reply.text)
    if damage or stopped not in ("", "truncated"):
        rejected[damage or stopped] += 1
        return
    parts = separators.split(text)
    for part in parts[:-1] if stopped else parts:  # the last one may be half a word
        if value := clean.unwrap(part).rstrip("。").strip():
            yield value


def unusable(value: str, task: Task) -> str:
    """Return why a value cannot be used, "" if it can.

    `label_leak`: it has a word of the task's labels, answers or forbidden words, or is a part of a
    label's instruction.
    """
    words = [*task.labels, *(task.question.answers.values() if task.question else ())]
    if clean.CHATTER.search(value):
        return "chatter"
    if len(value) > LONGEST:
        return "too_long"
    japanese = sum(map(len, clean.JAPANESE.findall(value)))
    if 2 * japanese < len(value) or has_simplified(value) or clean.CHINESE.search(value):
        return "not_japanese"
    is_leak = any(word in value for word in [*words, *task.clean.forbidden])
    asked = [
        *task.wording.labels.values(),
        *(task.knowledge.labels.values() if task.knowledge else ()),
    ]
    if is_leak or any(value in text for text in asked):
        return "label_leak"
    return ""
