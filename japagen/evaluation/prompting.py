"""The LLM itself asked for the label of every gold row, with a journal of its answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from japagen import files, llm
from japagen.config.error import UserError
from japagen.config.schema import EvaluateConfig
from japagen.config.task import Task
from japagen.dataset.identity import digest, llm_identity
from japagen.dataset.journal import JOURNAL, Journal, shots_head
from japagen.gold import load
from japagen.gold.example import Example
from japagen.llm import finish, question
from japagen.llm.dispatch import in_flight
from japagen.llm.retry import Retry

log = logging.getLogger(__name__)

PREDICTIONS = "predictions.jsonl"
TELL = 30.0  # seconds between two lines on how far it is

Entry = dict[str, Any]


@dataclass
class Answers:
    """What is known of the gold rows that were asked about.

    `paid`: (prompt, completion) tokens of all answers; `spent`: (seconds, answers) of all jobs, without loading the model.
    """

    known: dict[str, Entry] = field(default_factory=dict)
    paid: tuple[int, int] = (0, 0)
    spent: tuple[float, int] = (0.0, 0)
    new: int = 0

    def take(self, entry: Entry) -> None:
        """Remember a line of the journal: an answer, or what a job spent."""
        if "id" in entry:
            self.known[entry["row"]] = entry
            self.paid = (self.paid[0] + entry["tokens"][0], self.paid[1] + entry["tokens"][1])
        else:
            self.spent = (self.spent[0] + entry["seconds"], self.spent[1] + entry["answers"])

    def tokens(self, rows: Sequence[Example]) -> tuple[int, int]:
        """(prompt, completion) tokens of these rows."""
        counts = [self.known[row_key(row)]["tokens"] for row in rows]
        return sum(prompt for prompt, _ in counts), sum(completion for _, completion in counts)


def identity(config: EvaluateConfig) -> dict[str, Any]:
    """All that changes an answer."""
    task = {key: getattr(config.task, key) for key in ("name", "kind", "inputs", "labels")}
    asked = {
        "question": asdict(question.wording(config.task)),
        "format": question.FORMAT,
        "max_chars": config.max_chars,
    }
    return {
        "task": task,
        **asked,
        "llm": llm_identity(config.llm),
        "shots": config.shots,
        "seed": config.seed,
    }


def folder(config: EvaluateConfig) -> Path:
    """Where the answers lie."""
    name = f"{config.llm.name}-{config.shots}shot-seed{config.seed}-{digest(identity(config))}"
    return Path(config.answer_dir) / config.task.name / name


def row_key(row: Example) -> str:
    """Stands for a row's id and texts, so that no answer is taken for that to a text since changed."""
    return hashlib.blake2b("\x1f".join([row.id, *row.texts]).encode(), digest_size=8).hexdigest()


def drawn(rows: Sequence[Example], limit: int | None, seed: int) -> list[Example]:
    """At most `limit` rows drawn by seed, in their old order; a higher limit keeps those of a lower one."""
    places = list(range(len(rows)))
    random.Random(seed).shuffle(places)
    return [rows[place] for place in sorted(places[:limit])]


def shots(config: EvaluateConfig) -> dict[str, list[Example]]:
    """The gold train rows of each label that are shown with their labels."""
    if not config.shots:
        return {}
    return load.draw_shots(
        load.load(config.task, "train", config.gold_dir), config.task, config.shots, config.seed
    )


def demonstrations(
    config: EvaluateConfig, chosen: dict[str, list[Example]]
) -> list[tuple[Sequence[str], str]]:
    """The shots with their labels, shuffled by seed: labels one after the other would teach an order."""
    pairs: list[tuple[Sequence[str], str]] = [
        (shot.texts, label) for label, rows in chosen.items() for shot in rows
    ]
    random.Random(config.seed).shuffle(pairs)
    return pairs


def requests(
    config: EvaluateConfig, rows: Sequence[Example], chosen: dict[str, list[Example]]
) -> list[llm.Request]:
    """The question about each row."""
    before = demonstrations(config, chosen)
    cut = sum(len(text.strip()) > config.max_chars for row in rows for text in row.texts)
    if cut:
        log.info("%d texts are cut to max_chars=%d", cut, config.max_chars)
    return [
        question.request(
            config.task, row.texts, before, config.llm.chat, config.max_chars, config.seed
        )
        for row in rows
    ]


def run(config: EvaluateConfig, rows: Sequence[Example]) -> Answers:
    """The answers to all `rows`: those of the journal, and the LLM's to the rest."""
    chosen = shots(config)
    head = {"fingerprint": digest(identity(config)), **shots_head(chosen)}
    with Journal(folder(config) / JOURNAL, head) as journal:
        answers = Answers()
        for entry in journal.lines():
            answers.take(entry)
        missing = [row for row in rows if row_key(row) not in answers.known]
        if len(missing) < len(rows):
            rest = f"{len(missing)} to go" if missing else "the LLM is not called"
            log.info(
                "going on with %s: %d of %d rows are answered, %s",
                journal.path.parent,
                len(rows) - len(missing),
                len(rows),
                rest,
            )
        if missing:
            asyncio.run(
                ask_all(config, missing, requests(config, missing, chosen), journal, answers)
            )
        return answers


async def ask_all(
    config: EvaluateConfig,
    rows: Sequence[Example],
    asked: Sequence[llm.Request],
    journal: Journal,
    answers: Answers,
) -> None:
    """Keep `llm.concurrency` questions in flight until all are answered; the journal gets each answer as it comes."""
    engine = llm.load(config.llm)
    ask = Retry(engine).answer
    waiting, begin = iter(zip(rows, asked, strict=True)), time.monotonic()
    told = begin

    async def worker() -> None:
        nonlocal told
        for row, request in waiting:
            reply = await ask(request)
            entry = {
                "id": row.id,
                "row": row_key(row),
                "reply": finish.answer(reply.text, reply.finish),
                "tokens": [reply.prompt_tokens, reply.completion_tokens],
            }
            levels = {
                token: round(value, 5)
                for token, value in reply.top.items()
                if token in request.choices
            }
            keep(journal, answers, {**entry, "top": levels} if levels else entry)
            answers.new += 1
            if answers.new < len(rows):
                check_cost(config, answers)
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                log.info(
                    "answered %d of %d, %.2f/s",
                    answers.new,
                    len(rows),
                    answers.new / (told - begin),
                )

    try:
        await in_flight(engine, config.llm.concurrency, worker)
    finally:
        keep(
            journal,
            answers,
            {"seconds": round(time.monotonic() - begin, 6), "answers": answers.new},
        )


def keep(journal: Journal, answers: Answers, entry: Entry) -> None:
    """Write a line of the journal and remember it."""
    journal.write(entry)
    answers.take(entry)


def dollars(config: EvaluateConfig, tokens: tuple[int, int]) -> float:
    """The price of (prompt, completion) tokens."""
    return (tokens[0] * config.llm.price_prompt + tokens[1] * config.llm.price_completion) / 1e6


def check_cost(config: EvaluateConfig, answers: Answers) -> None:
    """Stop at the spending limit, which is for all answers in the journal."""
    limit = config.llm.max_cost
    spent = dollars(config, answers.paid)
    if limit is not None and spent >= limit:
        raise UserError(
            f"The spending limit llm.max_cost={limit} US dollars is reached: {spent:.4f} spent on {len(answers.known)} answers. "
            f"All answers are kept; go on with llm.max_cost={2 * limit:g}"
        )


def predicted(entry: Entry, task: Task) -> str | float | None:
    """The label, or the score, that an answer stands for; None where it stands for none."""
    found = question.read(entry["reply"], task)
    if task.kind == "classification" or found is None:
        return found
    mean = question.expected(entry.get("top", {}), task)
    return float(found) if mean is None else round(mean, 4)


def predictions(answers: Answers, rows: Sequence[Example], task: Task) -> list[dict[str, Any]]:
    """What a file of predictions has in a line; `predicted` is null where the reply could not be read."""
    return [
        {"id": row.id, "gold": row.label, "predicted": predicted(answers.known[row_key(row)], task)}
        for row in rows
    ]


def write(config: EvaluateConfig, found: Sequence[dict[str, Any]]) -> Path:
    """predictions.jsonl in the folder of the answers."""
    path = folder(config) / PREDICTIONS
    files.write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
    return path
