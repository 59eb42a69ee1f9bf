"""The prompting baseline: the LLM itself is asked for the label of every gold row."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from japagen import files, llm
from japagen.config.question import FORMAT
from japagen.config.schema import LLM, EvaluateConfig
from japagen.config.task import Task
from japagen.dataset.identity import digest, llm_identity
from japagen.dataset.journal import JOURNAL, Journal, shots_head
from japagen.evaluation.answers import Answers, Collector, predictions, prior
from japagen.gold import load
from japagen.gold.example import Example
from japagen.job import loop
from japagen.llm import Request, question
from japagen.llm.dispatch import in_flight
from japagen.llm.retry import Retry

log = logging.getLogger(__name__)

PREDICTIONS = "predictions.jsonl"

Shots = dict[str, list[Example]]  # label -> gold rows


@dataclass(frozen=True)
class Prompting:
    """What the LLM is asked, and where its answers are stored."""

    task: Task
    llm: LLM
    shots: int  # gold train rows of each label that are shown with their labels
    seed: int
    max_chars: int  # of each text; the rest is cut off
    gold_dir: str | None
    answer_dir: str
    calibrate: bool = False

    def identity(self) -> dict[str, Any]:
        """Everything that changes an answer."""
        task = {key: getattr(self.task, key) for key in ("name", "kind", "inputs", "labels")}
        return {
            **({"calibrate": True} if self.calibrate else {}),
            "task": task,
            "question": asdict(question.wording(self.task)),
            "format": FORMAT,
            "max_chars": self.max_chars,
            "llm": llm_identity(self.llm),
            "shots": self.shots,
            "seed": self.seed,
        }

    def folder(self) -> Path:
        """The folder of the answers."""
        fingerprint = digest(self.identity())
        name = f"{self.llm.name}-{self.shots}shot-seed{self.seed}-{fingerprint}"
        return Path(self.answer_dir) / self.task.name / name


def of(config: EvaluateConfig) -> Prompting:
    """What the options say about asking the LLM."""
    return Prompting(
        task=config.task,
        llm=config.llm,
        shots=config.shots,
        seed=config.seed,
        max_chars=config.max_chars,
        gold_dir=config.gold_dir,
        answer_dir=config.answer_dir,
        calibrate=config.question.calibrate,
    )


def draw_shots(asked: Prompting) -> Shots:
    """The gold train rows that are shown with their labels."""
    if not asked.shots:
        return {}
    rows = load.load(asked.task, "train", asked.gold_dir)
    return load.draw_shots(rows, asked.task, asked.shots, asked.seed)


def requests(asked: Prompting, rows: Sequence[Example], shots: Shots) -> list[Request]:
    """The question about each row, after the shots in an order shuffled with the seed."""
    pairs = question.demonstrations(shots, asked.seed)
    cut = sum(len(text.strip()) > asked.max_chars for row in rows for text in row.texts)
    if cut:
        log.info("%d texts are cut to max_chars=%d", cut, asked.max_chars)
    top = question.TOP if asked.calibrate else None
    chat, limit, seed = asked.llm.chat, asked.max_chars, asked.seed
    return [question.request(asked.task, row.texts, pairs, chat, limit, seed, top) for row in rows]


def content_free_rows(task: Task) -> list[Example]:
    """Rows without content, whose answers calibrate those to the others."""
    texts = question.content_free(task)
    return [Example(f"content-free-{n}", tuple(row), "") for n, row in enumerate(texts)]


def run(asked: Prompting, rows: Sequence[Example]) -> Answers:
    """The answers to all `rows`: those in the journal, and the LLM's to the others."""
    rows = [*(content_free_rows(asked.task) if asked.calibrate else ()), *rows]
    shots = draw_shots(asked)
    head = {"fingerprint": digest(asked.identity()), **shots_head(shots)}
    with Journal(asked.folder() / JOURNAL, head) as journal:
        answers = Answers()
        for entry in journal.lines():
            answers.add(entry)
        missing = answers.missing(rows)
        if len(missing) < len(rows):
            log.info(
                "resuming %s: %d of %d rows are answered, %s",
                journal.path.parent,
                len(rows) - len(missing),
                len(rows),
                f"{len(missing)} to go" if missing else "the LLM is not called",
            )
        if missing:
            collector = Collector(journal, answers, asked.llm, len(missing))
            loop.run(ask_all(missing, requests(asked, missing, shots), collector))
        return answers


def labelled(
    asked: Prompting, answers: Answers, rows: Sequence[Example]
) -> tuple[list[dict[str, Any]], bool]:
    """(predictions from the answers to `rows`, whether they are calibrated)."""
    empty = content_free_rows(asked.task) if asked.calibrate else []
    base = prior(answers.by_row, empty, asked.task)
    if empty and not base:
        log.warning(question.NO_PRIOR)
    return predictions(answers.by_row, rows, asked.task, base), bool(base)


async def ask_all(rows: Sequence[Example], asked: Sequence[Request], collector: Collector) -> None:
    """Keep `llm.concurrency` questions in flight until all rows are answered."""
    engine = llm.load(collector.llm)
    ask = Retry(engine).answer
    waiting = iter(zip(rows, asked, strict=True))

    async def worker() -> None:
        for row, request in waiting:
            collector.add(row, request, await ask(request))

    collector.start()
    try:
        await in_flight(engine, collector.llm.concurrency, worker)
    finally:
        collector.stop()


def write(folder: Path, predictions: Sequence[dict[str, Any]]) -> None:
    """Write predictions.jsonl into the folder of the answers."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
    files.write_whole(folder / PREDICTIONS, "".join(lines))


def preview(asked: Prompting) -> None:
    """Print the first questions as the LLM would get them; calls no LLM, writes nothing."""
    rows = load.load(asked.task, "test", asked.gold_dir)[:2]
    for request in requests(asked, rows, draw_shots(asked)):
        turns = [f"[{message['role']}] {message['content']}" for message in request.messages]
        print("\n".join(turns) or request.text)
        print(f"-- the answer is one of {', '.join(request.choices)}\n")
    print("dry_run: no LLM was called, nothing was written.")


def timed(asked: Prompting, rows: Sequence[Example]) -> tuple[list[dict[str, Any]], float]:
    """(predictions of the LLM for `rows`, rows per second, loading it not counted).

    Its answers are kept in no folder: those of an earlier job would have taken no time.
    """
    with TemporaryDirectory() as folder:
        answers = run(replace(asked, answer_dir=folder), rows)
    seconds, number = answers.spent
    return labelled(asked, answers, rows)[0], number / max(seconds, 1e-9)
