"""Evaluate the prompted LLM or a saved student on gold rows, or a synthetic dataset."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from japagen import tracking
from japagen.config.check import check
from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import EvaluateConfig
from japagen.config.task import Task
from japagen.dataset import identity, table
from japagen.evaluation import encoder, prompting
from japagen.evaluation.answers import costs
from japagen.evaluation.console import end, show
from japagen.evaluation.score import Result, measure
from japagen.gold import load, mistakes
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.job.console import plain_console
from japagen.quality import labels
from japagen.quality import measure as quality
from japagen.quality import show as shown
from japagen.quality.data import beside_gold
from japagen.quality.measured import Measured
from japagen.student import exports
from japagen.student.vectors import ENCODER

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float:
    """Evaluate what `cfg.subject` names and record it; returns its main metric (see SUBJECTS)."""
    config = check(cfg, EvaluateConfig)
    if config.subject not in SUBJECTS:
        allowed = f"allowed: {', '.join(SUBJECTS)}{did_you_mean(config.subject, SUBJECTS)}"
        raise UserError(f"subject is '{config.subject}'; {allowed}")
    # The preview of dry_run is the questions, whatever is evaluated.
    return (evaluate_prompting if config.dry_run else SUBJECTS[config.subject])(config)


def evaluate_prompting(config: EvaluateConfig) -> float:
    """Ask the LLM for the label of every gold row; returns the task's metric."""
    asked = prompting.of(config)
    if config.dry_run:
        prompting.preview(asked)
        return 0.0
    with tracking.run(config, "evaluate", {}) as track:
        rows, name = gold_rows(config.task, config.gold_dir, config.limit, config.seed)
        result = prompting_result(asked, rows, name)
        return finish(config, result, rows, name, track)


def evaluate_encoder(config: EvaluateConfig) -> float:
    """Score the cosine of the untrained encoder on gold pairs; returns the task's metric."""
    encoder.check(config.task)
    with tracking.run(config, "evaluate", {}) as track:
        rows, name = gold_rows(config.task, config.gold_dir, config.limit, config.seed)
        predicted = encoder.predictions(config.task, rows)
        title = f"{config.task.name}, cosine of {ENCODER} without training"
        result = Result(title, predicted, tags={"student": ENCODER})
        return finish(config, result, rows, name, track)


def evaluate_student(config: EvaluateConfig) -> float:
    """Measure predictions and speed of a saved student; returns the task's metric."""
    from japagen.evaluation import speed
    from japagen.student import saved

    with tracking.run(config, "evaluate", {}) as track:
        rows, name = gold_rows(config.task, config.gold_dir, config.limit, config.seed)
        begin = time.monotonic()
        folder = find_student(config.student.path or "", config.mlflow_uri)
        card = saved.check(folder, config.task)
        lines = write_exports(config, folder, rows, track)
        found = speed.measure(folder, config.task, rows, config.student.batch_size, config.seed)
        track.metrics(speed.metrics(found))  # before the LLM, which may be down
        prompted = prompted_speed(config, rows)
        per_second = found[0].measured["batched"]
        metrics = {
            **{f"speed/prompted/{key}": value for key, value in prompted.items()},
            "evaluate/examples_per_second": per_second,
            "cost/seconds_per_1000": 1000 / per_second,
            "cost/dollars_per_1000": 0.0,
            "evaluate/seconds": time.monotonic() - begin,
        }
        tags = {**student_tags(card, folder), "backend": found[0].name}
        title = f"{config.task.name}, student {tags['student']}"
        track.text(speed.markdown(found, prompted.get("batched")), "backends.md")
        track.figure(speed.chart(found, config.task, prompted), "speed.svg")
        plain_console().print(speed.shown(found, prompted.get("batched")))
        result = Result(title, found[0].rows, metrics, tags, [*lines, f"student: {folder}"])
        return finish(config, result, rows, name, track)


def prompted_speed(config: EvaluateConfig, rows: Sequence[Example]) -> dict[str, float]:
    """Return rows per second (`batched`) and `score` of the LLM on `prompted_rows` of the rows."""
    if not config.prompted_rows:
        return {}
    some = load.sample(rows, config.prompted_rows, config.seed)
    predicted, per_second = prompting.timed(prompting.of(config), some)
    score = measure(config.task, predicted, "prompted")[f"prompted/{config.task.metric}"]
    return {"batched": per_second, "score": score, "rows": float(len(some))}


def write_exports(
    config: EvaluateConfig, folder: Path, rows: Sequence[Example], track: tracking.Run
) -> list[str]:
    """Write the forms of the student that `export` names; return lines for the console."""
    exports.check_packages(config.exports)
    try:
        training = load.load(config.task, "train", config.gold_dir) if config.exports else []
    except GoldMissing:
        training = []  # only forms that measure ranges of activations need them, and say so
    made = exports.write(folder, config.exports, rows, training)
    track.metrics(exports.metrics(made))
    return list(exports.lines(made))


def evaluate_dataset(config: EvaluateConfig) -> float:
    """Measure the synthetic dataset that the options name; returns its diversity."""
    with tracking.run(config, "evaluate", {}) as track:
        named = identity.of(config)
        rows = table.read(named)
        data, lines = beside_gold(rows, config.task, config.gold_dir)
        found = quality.whole(data, config.embedded_rows)
        lines += judge(config, found)
        path = shown.record(found, named.folder, track)
        track.tags({"fingerprint": named.fingerprint, "folder": str(named.folder.absolute())})
        source = str(named.folder / table.TABLE)
        track.dataset(table.rows(rows, config.task), named.folder.name, source, "evaluation")
        title = f"{config.task.name}, synthetic dataset by {config.llm.name}"
        lines = [*shown.lines(found, path), *lines, f"dataset: {named.folder}"]
        where = tracking.where(tracking.job_of(config, ""), track)
        end(shown.table(found, title), lines, where)
        return found.metrics.get("diversity", 0.0)  # a dataset may be empty


def judge(config: EvaluateConfig, found: Measured) -> list[str]:
    """Compare the labels with a saved student and the LLM, if given; return lines."""
    lines = list[str]()
    if config.student.path:
        folder = find_student(config.student.path, config.mlflow_uri)
        lines += labels.by_student(found, folder, config.student.batch_size)
    else:
        needed = "give a student trained on gold: student.path=FOLDER"
        lines.append(f"label correctness: not measured; {needed}")
    if config.prompted_rows:
        labels.by_llm(found, prompting.of(config), config.prompted_rows)
    return lines


def find_student(path: str, mlflow_uri: str) -> Path:
    """Return the folder of a saved student, given as such or as the run that trained it."""
    from japagen.student import saved

    return saved.find(path, lambda run: tracking.folder_of(mlflow_uri, run))


# To add a subject: a function here and its name; it records its run and returns its main metric.
SUBJECTS: dict[str, Callable[[EvaluateConfig], float]] = {
    "prompting": evaluate_prompting,
    "encoder": evaluate_encoder,
    "student": evaluate_student,
    "dataset": evaluate_dataset,
}


def gold_rows(
    task: Task, gold_dir: str | None, limit: int | None, seed: int
) -> tuple[list[Example], str]:
    """(gold test rows, the prefix of their metrics: `test` for all rows, else `partial`)."""
    every = load.load(task, "test", gold_dir)
    rows = load.sample(every, limit, seed)
    return rows, "test" if len(rows) == len(every) else "partial"


def prompting_result(asked: prompting.Prompting, rows: Sequence[Example], name: str) -> Result:
    """The LLM's answers as predictions, with their cost."""
    before = time.monotonic()
    answers = prompting.run(asked, rows)
    predicted, is_calibrated = prompting.labelled(asked, answers, rows)
    prompting.write(asked.folder(), predicted)
    unparsed = sum(row["predicted"] is None for row in predicted)
    metrics = {f"{name}/unparsed": unparsed / len(rows), **costs(answers, rows, asked.llm)}
    if answers.new:
        # A job without new answers spent nothing: sums over runs must not count time twice.
        metrics["evaluate/seconds"] = time.monotonic() - before
    lines = [f"answers: {asked.folder()}"]
    if unparsed:
        count = f"{unparsed} of {len(rows)}"
        lines.insert(0, f"{count} answers could not be read and count as wrong")
    calibrated = ", calibrated" if is_calibrated else ""
    title = f"{asked.task.name}, {asked.llm.name} prompted, {asked.shots}-shot{calibrated}"
    tags = {"folder": str(asked.folder().absolute())}
    return Result(title, predicted, metrics, tags, lines)


def student_tags(card: dict[str, Any], folder: Path) -> dict[str, str]:
    """The tags of a run that evaluates a saved student: what it is and what made its data."""
    source = {
        key: str(value)
        for key, value in card.get("source", {}).items()
        if key in ("llm", "prompt", "shots")
    }
    return {
        "folder": str(folder.absolute()),
        "student": card["student"]["name"],
        "data": card["data"]["name"],
        "method": card.get("method", "saved student"),
        **source,
    }


def finish(
    config: EvaluateConfig,
    result: Result,
    rows: Sequence[Example],
    name: str,
    track: tracking.Run,
) -> float:
    """Record and print metrics, predictions and the confusion matrix; returns the task's metric."""
    task = config.task
    result.metrics.update(measure(task, result.rows, name))
    track.metrics(result.metrics)
    track.tags(result.tags)
    track.dataset(table.rows(rows, task), f"{task.name} test", "gold", "evaluation")
    track.rows(mistakes.with_texts(result.rows, rows, task), prompting.PREDICTIONS)
    track.text(mistakes.markdown(result.rows, rows, task), "errors.md")
    if task.kind == "classification":
        labels, predicted = ([row[key] for row in result.rows] for key in ("gold", "predicted"))
        track.figure(tracking.confusion(labels, predicted, task.labels), "confusion.svg")
    show(task, result, name, tracking.where(tracking.job_of(config, ""), track))
    return result.metrics[f"{name}/{task.metric}"]
