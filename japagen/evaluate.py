"""Gold -> the LLM prompted, a saved student, or a synthetic dataset -> the same metrics as of train.py."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from japagen import tracking
from japagen.config.check import check
from japagen.config.schema import EvaluateConfig
from japagen.dataset import table
from japagen.evaluation import prompting
from japagen.evaluation.console import show
from japagen.evaluation.dataset import look
from japagen.evaluation.score import Found, measure
from japagen.gold import load
from japagen.gold.example import Example

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float:
    """Evaluate what `cfg` names and record it; returns the task's metric, for a dataset its diversity."""
    config = check(cfg, EvaluateConfig)
    if config.dry_run:
        dry_run(config)
        return 0.0
    with tracking.run(config, "evaluate", {}) as track:
        if config.subject == "dataset":
            return look(config, track)
        every = load.load(config.task, "test", config.gold_dir)
        rows = prompting.drawn(every, config.limit, config.seed)
        name = "test" if len(rows) == len(every) else "partial"
        found = SUBJECTS[config.subject](config, rows, name)
        found.metrics.update(measure(config.task, found.rows, name))
        record(config, found, rows, track)
        show(config, found, name, tracking.where(config, track))
        return found.metrics[f"{name}/{config.task.metric}"]


def dry_run(config: EvaluateConfig) -> None:
    """Print the first questions as the LLM would get them."""
    rows = load.load(config.task, "test", config.gold_dir)[:2]
    for request in prompting.requests(config, rows, prompting.shots(config)):
        print(
            "\n".join(f"[{message['role']}] {message['content']}" for message in request.messages)
            or request.text
        )
        print(f"-- the answer is one of {', '.join(request.choices)}\n")
    print("dry_run: no LLM was called, nothing was written.")


def prompt(config: EvaluateConfig, rows: Sequence[Example], name: str) -> Found:
    """The LLM's answers."""
    before = time.monotonic()
    answers = prompting.run(config, rows)
    found = prompting.predictions(answers, rows, config.task)
    path, tokens = prompting.write(config, found), answers.tokens(rows)
    unparsed = sum(row["predicted"] is None for row in found)
    metrics = {
        f"{name}/unparsed": unparsed / len(rows),
        "prompt_tokens": float(tokens[0]),
        "completion_tokens": float(tokens[1]),
    }
    metrics["cost/dollars_per_1000"] = 1000 * prompting.dollars(config, tokens) / len(rows)
    seconds, number = answers.spent
    if seconds > 0 and number:
        metrics |= {
            "evaluate/examples_per_second": number / seconds,
            "cost/seconds_per_1000": 1000 * seconds / number,
        }
    if answers.new:
        # A run that found all there spent nothing: sums over runs must not count the same time twice.
        metrics["evaluate/seconds"] = time.monotonic() - before
    lines = (
        [f"{unparsed} of {len(rows)} answers could not be read and count as wrong"]
        if unparsed
        else []
    )
    return Found(
        found, metrics, {"folder": str(path.parent.absolute())}, [*lines, f"answers: {path.parent}"]
    )


def student(config: EvaluateConfig, rows: Sequence[Example], _name: str) -> Found:
    """A saved student's predictions and its speed."""
    from japagen.student import saved

    begin = time.monotonic()
    folder = saved.find(
        config.student.path or "", lambda run: tracking.folder_of(config.mlflow_uri, run)
    )
    opened = saved.load(folder, config.task)
    found, speeds = saved.timed(opened, rows, config.task, config.student.batch_size, config.seed)
    speed = speeds.get("speed/gpu_batched", speeds["speed/batched"])
    metrics = {
        **speeds,
        "evaluate/examples_per_second": speed,
        "cost/seconds_per_1000": 1000 / speed,
        "cost/dollars_per_1000": 0.0,
    }
    source = {
        key: str(value)
        for key, value in opened.card.get("source", {}).items()
        if key in ("llm", "prompt", "shots")
    }
    tags = {
        "folder": str(opened.folder.absolute()),
        "student": opened.card["student"]["name"],
        "data": opened.card["data"]["name"],
        "method": opened.card.get("method", "saved student"),
        **source,
    }
    metrics["evaluate/seconds"] = time.monotonic() - begin
    return Found(
        found, metrics, {**tags, "device": saved.devices()[-1]}, [f"student: {opened.folder}"]
    )


SUBJECTS = {"prompting": prompt, "student": student}


def record(
    config: EvaluateConfig, found: Found, rows: Sequence[Example], track: tracking.Run
) -> None:
    """Hand numbers, predictions and the confusion matrix to tracking."""
    track.metrics(found.metrics)
    track.tags(found.tags)
    track.dataset(table.rows(rows, config.task), f"{config.task.name} test", "gold", "evaluation")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / prompting.PREDICTIONS
        path.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows),
            encoding="utf-8",
        )
        track.file(path)
    if config.task.kind == "classification":
        labels, predicted = (
            [row["gold"] for row in found.rows],
            [row["predicted"] for row in found.rows],
        )
        track.figure(tracking.confusion(labels, predicted, config.task.labels), "confusion.png")
