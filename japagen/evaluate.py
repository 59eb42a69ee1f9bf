"""Gold -> the LLM prompted, a saved student, or a synthetic dataset -> the same metrics as of train.py."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from japagen import gold, metric, prompting, quality, store, tracking
from japagen.check import check
from japagen.config import EvaluateConfig
from japagen.gold import Example, GoldMissing
from japagen.task import Task

log = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, Any]]


@dataclass
class Found:
    """What was found out: metrics beside those of the predictions, tags, and the last lines for the console."""

    rows: Rows = ()
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def run(cfg: DictConfig) -> float:
    """Evaluate what `cfg` names and record it; returns the task's metric, for a dataset its diversity."""
    config = check(cfg, EvaluateConfig)
    if config.dry_run:
        dry_run(config)
        return 0.0
    with tracking.run(config, "evaluate", {}) as track:
        if config.subject == "dataset":
            return look(config, track)
        every = gold.load(config.task, "test", config.gold_dir)
        rows = prompting.drawn(every, config.limit, config.seed)
        name = "test" if len(rows) == len(every) else "partial"
        found = SUBJECTS[config.subject](config, rows, name)
        found.metrics.update(measure(config.task, found.rows, name))
        record(config, found, rows, track)
        show(config, found, name, tracking.where(config, track))
        return found.metrics[f"{name}/{config.task.metric}"]


def dry_run(config: EvaluateConfig) -> None:
    """Print the first questions as the LLM would get them."""
    rows = gold.load(config.task, "test", config.gold_dir)[:2]
    for request in prompting.requests(config, rows, prompting.shots(config)):
        print("\n".join(f"[{message['role']}] {message['content']}" for message in request.messages) or request.text)
        print(f"-- the answer is one of {', '.join(request.choices)}\n")
    print("dry_run: no LLM was called, nothing was written.")


def prompt(config: EvaluateConfig, rows: Sequence[Example], name: str) -> Found:
    """The LLM's answers."""
    before = time.monotonic()
    answers = prompting.run(config, rows)
    found = prompting.predictions(answers, rows, config.task)
    path, tokens = prompting.write(config, found), answers.tokens(rows)
    unparsed = sum(row["predicted"] is None for row in found)
    metrics = {f"{name}/unparsed": unparsed / len(rows), "prompt_tokens": float(tokens[0]), "completion_tokens": float(tokens[1])}
    metrics["cost/dollars_per_1000"] = 1000 * prompting.dollars(config, tokens) / len(rows)
    seconds, number = answers.spent
    if seconds > 0 and number:
        metrics |= {"evaluate/examples_per_second": number / seconds, "cost/seconds_per_1000": 1000 * seconds / number}
    if answers.new:
        # A run that found all there spent nothing: sums over runs must not count the same time twice.
        metrics["evaluate/seconds"] = time.monotonic() - before
    lines = [f"{unparsed} of {len(rows)} answers could not be read and count as wrong"] if unparsed else []
    return Found(found, metrics, {"folder": str(path.parent.absolute())}, [*lines, f"answers: {path.parent}"])


def student(config: EvaluateConfig, rows: Sequence[Example], _name: str) -> Found:
    """A saved student's predictions and its speed."""
    from japagen import saved

    begin = time.monotonic()
    opened = saved.load(saved.find(config), config.task)
    found, speeds = saved.timed(opened, rows, config)
    speed = speeds.get("speed/gpu_batched", speeds["speed/batched"])
    metrics = {**speeds, "evaluate/examples_per_second": speed, "cost/seconds_per_1000": 1000 / speed, "cost/dollars_per_1000": 0.0}
    source = {key: str(value) for key, value in opened.card.get("source", {}).items() if key in ("llm", "prompt", "shots")}
    tags = {
        "folder": str(opened.folder.absolute()),
        "student": opened.card["student"]["name"],
        "data": opened.card["data"]["name"],
        "method": opened.card.get("method", "saved student"),
        **source,
    }
    metrics["evaluate/seconds"] = time.monotonic() - begin
    return Found(found, metrics, {**tags, "device": saved.devices()[-1]}, [f"student: {opened.folder}"])


SUBJECTS = {"prompting": prompt, "student": student}


def measure(task: Task, rows: Rows, name: str) -> dict[str, float]:
    """The metrics of the predictions; `score` is the task's own, on all of gold. Also how often each label is predicted."""
    labels = [row["gold"] for row in rows]
    # An answer that could not be read is wrong; where numbers are compared, it stands for the middle, which says nothing.
    unread = str(sum(map(float, task.labels)) / len(task.labels)) if task.kind == "regression" else ""
    said = [unread if row["predicted"] is None else str(row["predicted"]) for row in rows]
    found = metric.scores(task, labels, said)
    measured = {f"{name}/{key}": value for key, value in found.items()}
    if task.kind == "classification":
        measured["majority/accuracy" if name == "test" else f"{name}/majority_accuracy"] = metric.majority(labels)
    for kind, values in (("predicted", [value for value in said if value != ""]), ("gold", labels)):
        near = Counter(gold.nearest(value, task) if task.kind == "regression" else value for value in values)
        measured |= {f"{kind}/{label}": near[label] / len(rows) for label in task.labels}
    return {**measured, "score": found[task.metric]} if name == "test" else measured


def record(config: EvaluateConfig, found: Found, rows: Sequence[Example], track: tracking.Run) -> None:
    """Hand numbers, predictions and the confusion matrix to tracking."""
    track.metrics(found.metrics)
    track.tags(found.tags)
    track.dataset(store.rows(rows, config.task), f"{config.task.name} test", "gold", "evaluation")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / prompting.PREDICTIONS
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows), encoding="utf-8")
        track.file(path)
    if config.task.kind == "classification":
        labels, predicted = [row["gold"] for row in found.rows], [row["predicted"] for row in found.rows]
        track.figure(tracking.confusion(labels, predicted, config.task.labels), "confusion.png")


def show(config: EvaluateConfig, found: Found, name: str, where: str) -> None:
    """The end of the job: the numbers, how often each label is said, and where all of it is."""
    from rich.table import Table

    who = f"{config.llm.name} prompted, {config.shots}-shot" if config.subject == "prompting" else f"student {found.tags['student']}"
    table, measured = Table("", "", title=f"{config.task.name}, {who}", show_header=False), found.metrics
    table.add_row(f"{name} rows", str(len(found.rows)))
    for key in sorted(measured):
        if key.startswith((name, "majority", "speed")):
            table.add_row(key, f"{measured[key]:.4f}", style="bold" if key.endswith(f"/{config.task.metric}") else "")
    for label in config.task.labels:
        table.add_row(f"says {label}", f"{100 * measured[f'predicted/{label}']:.0f} % (gold {100 * measured[f'gold/{label}']:.0f} %)")
    for key in ("cost/seconds_per_1000", "cost/dollars_per_1000"):
        if key in measured:
            table.add_row(key, f"{measured[key]:.2f}")
    end(table, found.lines, where)


def end(table: Any, lines: Sequence[str], where: str) -> None:
    """Print the last table, lines, and where the run is."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    for line in [*lines, *([f"run: {where}"] if where else [])]:
        console.print(line, markup=False)


def look(config: EvaluateConfig, track: tracking.Run) -> float:
    """The quality of the synthetic dataset that the options name."""
    rows, lines, real = store.read(config), list[str](), list[Example]()
    try:
        real = gold.load(config.task, "test", config.gold_dir)
    except GoldMissing as missing:
        lines.append(f"Not compared with gold. {missing}")
    measured = quality.measure(rows, real, config.task)
    if config.student.path:
        measured |= judged(config, rows, lines)
    else:
        lines.append("label correctness: not measured; give a student trained on gold: student.path=FOLDER")
    measured = {f"quality/{key}": value for key, value in measured.items()}
    track.metrics(measured)
    track.tags({"fingerprint": store.fingerprint(config), "folder": str(store.folder(config).absolute())})
    track.dataset(store.rows(rows, config.task), store.folder(config).name, str(store.folder(config) / store.TABLE), "evaluation")
    end(quality_table(config, measured), [*lines, f"dataset: {store.folder(config)}"], tracking.where(config, track))
    return measured["quality/diversity"]


def judged(config: EvaluateConfig, rows: Sequence[Example], lines: list[str]) -> dict[str, float]:
    """What a saved student says of the rows' labels, with an example of what it would label otherwise."""
    from japagen import saved

    opened = saved.load(saved.find(config), config.task)
    if opened.card["data"]["name"] != "gold":
        lines.append("This student was not trained on gold, so that it agrees with a label says little.")
    saved.move(opened, saved.devices()[-1])
    found = saved.predict(opened, rows, config.task, config.student.batch_size)
    for row, said in zip(rows, found, strict=True):
        if config.task.kind == "classification" and said["predicted"] != row.label and said["probability"] > 0.5:
            lines.append(f"for example {row.id}, which the student calls {said['predicted']}: {' / '.join(row.texts)}")
            break
    return quality.label_correctness(rows, [row["predicted"] for row in found], config.task)


def quality_table(config: EvaluateConfig, measured: Mapping[str, float]) -> Any:
    """The numbers of a dataset beside the same of gold rows."""
    from rich.table import Table

    table = Table("", "synthetic", "gold", title=f"{config.task.name}, synthetic dataset by {config.llm.name}")
    for key, value in measured.items():
        name = key.removeprefix("quality/")
        if not name.startswith("gold_"):
            beside = measured.get(f"quality/gold_{name}")
            table.add_row(name, f"{value:.4g}", "" if beside is None else f"{beside:.4g}")
    return table
