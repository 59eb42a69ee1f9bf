"""Seed -> data -> student -> fit -> test -> save -> metrics."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from japagen import __version__, fit, metric, store, sweep, tracking
from japagen.check import check
from japagen.config import TrainConfig

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer
    from transformers import PreTrainedTokenizerBase

    from japagen.data import DataModule, Parts
    from japagen.student import Module

log = logging.getLogger(__name__)

# What a file of predictions has in a line: id, gold, predicted and, for labels, probability.
Rows = Sequence[Mapping[str, Any]]
# Advice against what is meant here: small tables in memory, and no logger of Lightning's.
CHATTER = (r".*does not have many workers", r".*smaller than the logging interval", r".*isinstance\(treespec, LeafSpec\)")


def run(cfg: DictConfig) -> float:
    """Train the student that `cfg` names, score it on gold and save it; returns the task's metric."""
    config = check(cfg, TrainConfig)
    with quiet():
        from lightning.pytorch import seed_everything

        from japagen import data, student

        seed_everything(config.seed)
        try:
            parts = data.parts(config)
        except Exception:
            with tracking.run(config, "train", tags(config)):
                raise
        name = student.name(config, [*parts.train, *parts.valid])
        job = identity(name, parts)
        with sweep.turn(job):
            if (score := done_before(config, name, job)) is not None:
                return score
            with tracking.run(config, "train", {**tags(config), "job": job}) as track:
                announce(config, parts)
                return work(config, parts, track)


def identity(name: str, parts: Parts) -> str:
    """Ten hexadecimal digits that differ where the score may: the student's `name` says its options and rows."""
    test = [[row.id, row.label, *row.texts] for row in parts.test]
    text = json.dumps([__version__, name, bool(parts.no_gold), test])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def done_before(config: TrainConfig, name: str, job: str) -> float | None:
    """The score of the same training where a sweep finds it finished and its student still there, or None."""
    if not sweep.skips(config.rerun) or not (Path(config.student_dir) / name).exists():
        return None
    found = tracking.earlier(config, "train", job) or {}
    for part in ("test", "heldout"):
        if (score := found.get(f"{part}/{config.task.metric}")) is not None:
            log.info("already done: %s, score %.4f (rerun=true trains it again)", name, score)
            sweep.note(before=True)
            return score
    return None


def work(config: TrainConfig, parts: Parts, track: tracking.Run) -> float:
    """From the rows to the saved student and its metrics."""
    from japagen import data, loss, pretrained, student

    model, tokenizer = pretrained.load(config.student, config.task)
    table = data.DataModule(parts, config, tokenizer)
    weights = loss.label_weights(data.targets(parts.train, config.task), len(config.task.labels)) if config.loss.class_weights else None

    def report(values: Mapping[str, float], step: int) -> None:
        track.metrics(values, step)
        found = ", ".join(f"{key} {values[key]:.4f}" for key in sorted(values))
        log.info("step %d of %d: %s", step, trainer.estimated_stepping_batches, found)

    module = student.Module(model, config, weights, report)
    Path(config.student_dir).mkdir(parents=True, exist_ok=True)
    # Beside the finished students, so that the last step is a rename.
    with tempfile.TemporaryDirectory(dir=config.student_dir, prefix=".part-") as part:
        trainer, began = fit.make_trainer(config.trainer, table.steps(), Path(part)), time.perf_counter()
        with fit.interruptible():
            trainer.fit(module, datamodule=table)
        seconds = time.perf_counter() - began
        rows = predictions(trainer, module, table)
        folder = save(config, student.name(config, [*parts.train, *parts.valid]), module, tokenizer, rows, Path(part))
    measured = {**measure(config, parts, rows), "train/seconds": seconds, "train/examples_per_second": module.speed()}
    record(config, parts, rows, measured, track)
    show(config, parts, measured, folder, tracking.where(config, track))
    return measured[f"{prefix(config, parts)}/{config.task.metric}"]


def prefix(config: TrainConfig, parts: Parts) -> str:
    """What the test metrics are called: `test` is all of gold and nothing else."""
    if config.trainer.options.get("fast_dev_run"):
        return "debug"
    return "heldout" if parts.no_gold else "test"


def announce(config: TrainConfig, parts: Parts) -> None:
    """Say what was read, and how many rows of each label, before anything takes time."""
    source = "gold" if config.data.name == "gold" else str(store.folder(config))
    log.info("task %s, student %s, trained on %s", config.task.name, config.student.name, source)
    for name, rows in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)):
        counts = Counter(row.label for row in rows)
        labels = ", ".join(f"{label} {counts[label]}" for label in config.task.labels) if config.task.kind == "classification" else ""
        kind = f", held out of {config.data.name}" if name == "valid" or (name == "test" and parts.no_gold) else ""
        log.info("%s: %d rows%s%s", name, len(rows), kind, f" ({labels})" if labels else "")


def tags(config: TrainConfig) -> dict[str, str]:
    """What ties this run to the run that wrote its dataset."""
    if config.data.name == "gold":
        return {}
    fingerprint = store.fingerprint(config)
    return {"fingerprint": fingerprint, "generating_run": tracking.latest(config, "generate", fingerprint)}


def predictions(trainer: LightningTrainer, module: Module, table: DataModule) -> list[dict[str, Any]]:
    """One row for each test row, in its order, by the best checkpoint: id, gold, predicted, for labels a probability."""
    best: str | None = getattr(trainer.checkpoint_callback, "best_model_path", "") or None
    with fit.interruptible():
        outputs = trainer.predict(module, datamodule=table, ckpt_path=best) or []
    found: dict[int, dict[str, Any]] = {}
    for rows, logits in outputs:
        found.update(zip(rows.tolist(), module.read(logits), strict=True))
    test = table.parts.test
    return [{"id": test[row].id, "gold": test[row].label, **found[row]} for row in sorted(found)]


def save(config: TrainConfig, name: str, module: Module, tokenizer: PreTrainedTokenizerBase, rows: Rows, part: Path) -> Path:
    """The student's folder: what transformers opens, predictions.jsonl, and japagen.json, which says how to use it."""
    folder, new = Path(config.student_dir) / name, part / "student"
    module.finished().save_pretrained(new)
    tokenizer.save_pretrained(new)
    task = {key: getattr(config.task, key) for key in ("name", "kind", "inputs", "metric", "labels")}
    card = {"task": task, "student": asdict(config.student), "data": asdict(config.data), "seed": config.seed}
    (new / "japagen.json").write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (new / "predictions.jsonl").write_text("".join(lines), encoding="utf-8")
    if folder.exists():
        folder.rename(part / "old")
    new.rename(folder)
    return folder


def measure(config: TrainConfig, parts: Parts, rows: Rows) -> dict[str, float]:
    """The metrics of the test rows; `score` is the task's own, on gold."""
    gold = [row["gold"] for row in rows]
    found = metric.scores(config.task, gold, [str(row["predicted"]) for row in rows])
    measured = {f"{prefix(config, parts)}/{name}": value for name, value in found.items()}
    if config.task.kind == "classification":
        measured["heldout/majority_accuracy" if parts.no_gold else "majority/accuracy"] = metric.majority(gold)
    return measured if prefix(config, parts) != "test" else {**measured, "score": found[config.task.metric]}


def record(config: TrainConfig, parts: Parts, rows: Rows, measured: Mapping[str, float], track: tracking.Run) -> None:
    """Hand the job's numbers, its rows' digests and the confusion matrix to tracking."""
    track.metrics(measured)
    source = "gold" if config.data.name == "gold" else str(store.folder(config))
    for name, context in (("train", "training"), ("valid", "training"), ("test", "evaluation")):
        place = "gold" if name == "test" and not parts.no_gold else source
        track.dataset(list(store.rows(getattr(parts, name), config.task)), f"{config.task.name} {name}", place, context)
    if config.task.kind == "classification":
        gold_labels, predicted = [row["gold"] for row in rows], [row["predicted"] for row in rows]
        track.figure(tracking.confusion(gold_labels, predicted, config.task.labels), "confusion.png")


def show(config: TrainConfig, parts: Parts, measured: Mapping[str, float], folder: Path, where: str) -> None:
    """The end of the job: one table, what the score is not, and where the student and the run are."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    table = Table("", "", title=f"{config.task.name}, {config.student.name} on {config.data.name}", show_header=False)
    for name in ("train", "valid", "test"):
        table.add_row(f"{name} rows", str(len(getattr(parts, name))))
    for name in sorted(measured):
        if name.startswith((prefix(config, parts), "majority")):
            table.add_row(name, f"{measured[name]:.4f}", style="bold" if name.endswith(f"/{config.task.metric}") else "")
    table.add_row("seconds", f"{measured['train/seconds']:.0f}")
    console.print(table)
    if parts.no_gold:
        console.print(f"This score is NOT on gold: it is on rows held out of the synthetic ones. {parts.no_gold}", markup=False)
    console.print(f"student: {folder}", markup=False)
    if where:
        console.print(f"run: {where}", markup=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advertisements and advice of Lightning and transformers; their errors are still seen."""
    from transformers.utils import logging as bars

    importlib.import_module("lightning.pytorch")  # it sets the levels of its loggers
    progress: Any = bars
    progress.disable_progress_bar()
    for name, level in (("lightning.pytorch", logging.WARNING), ("lightning.fabric", logging.WARNING), ("transformers", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    with warnings.catch_warnings():
        for message in CHATTER:
            warnings.filterwarnings("ignore", message=message)
        yield
