"""Seed -> data -> student -> fit -> test -> save -> metrics."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from japagen import __version__, export, fit, metric, store, sweep, tracking
from japagen.check import SOURCES, check
from japagen.config import TrainConfig, UserError
from japagen.gold import GoldMissing

if TYPE_CHECKING:
    from lightning.pytorch import Trainer as LightningTrainer
    from transformers import PreTrainedTokenizerBase

    from japagen.data import DataModule, Parts
    from japagen.pretrained import Pretrained
    from japagen.student import Module
    from japagen.tokens import Tokens

log = logging.getLogger(__name__)

# What a file of predictions has in a line: id, gold, predicted and, for labels, probability.
Rows = Sequence[Mapping[str, Any]]
EXAMPLE = "公園で子どもたちが遊んでいます。"  # what a served student is shown to be asked


def run(cfg: DictConfig) -> float:
    """Train the student that `cfg` names, score it on gold and save it; returns the task's metric, with several seeds its mean."""
    config = check(cfg, TrainConfig)
    with fit.quiet():
        if not fit.chief():
            config.logger.name = "none"  # the first of the processes that train together speaks for all
        load, about, seeds = functools.cache(lambda: ready(config)), functools.cache(lambda: tags(config)), config.seeds or [config.seed]
        if len(seeds) == 1:
            return one(config, load, about)
        with tracking.run(config, "seeds", about()) as track:
            tagged = {**about(), **({"mlflow.parentRunId": track.id} if track.id else {})}
            found = [one(replace(config, seeds=[seed]), load, lambda: tagged) for seed in seeds]
            return summary(config, found, track)


def identity(name: str, parts: Parts) -> str:
    """Ten hexadecimal digits that differ where the score may: the student's `name` says its options and rows."""
    test = [[row.id, row.label, *row.texts] for row in parts.test]
    text = json.dumps([__version__, name, bool(parts.no_gold), test])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def done_before(config: TrainConfig, name: str, job: str) -> float | None:
    """The score of the same training where a sweep finds it finished and its student still there, or None."""
    folder = Path(config.student_dir) / name
    if not sweep.skips(config.rerun) or not folder.exists() or (config.export and not (folder / "model.onnx").exists()):
        return None
    found = tracking.earlier(config, "train", job) or {}
    for part in ("test", "heldout"):
        if (score := found.get(f"{part}/{config.task.metric}")) is not None:
            log.info("already done: %s, score %.4f (rerun=true trains it again)", name, score)
            sweep.note(before=True)
            return score
    return None


def ready(config: TrainConfig) -> tuple[Pretrained, Tokens]:
    """The student before training and its tokenizer, loaded once for all seeds."""
    from japagen import pretrained, tokens

    loaded = pretrained.load(config.student, config.task)
    return loaded, tokens.Tokens(loaded.tokenizer, config.student, tokens.folder())


def one(config: TrainConfig, load: Callable[[], tuple[Pretrained, Tokens]], about: Callable[[], Mapping[str, str]]) -> float:
    """One training, with the one seed that `config` names; `about` gives the tags of its run."""
    from japagen import data, student

    try:
        parts = data.parts(config)
    except Exception as error:
        if isinstance(error, GoldMissing) and sweep.books() is not None:
            raise  # the run would only be discarded
        with tracking.run(config, "train", about()):
            raise
    name = student.name(config, [*parts.train, *parts.valid])
    job = identity(name, parts)
    with sweep.turn(job):
        if (score := done_before(config, name, job)) is not None:
            return score
        with tracking.run(config, "train", {**about(), "job": job}) as track:
            announce(config, parts)
            loaded, tokens = load()
            seed_everything(config.training_seed)
            return work(config, parts, name, loaded, tokens, track)


def seed_everything(seed: int) -> None:
    """Lightning's, without its log line."""
    from lightning.pytorch import seed_everything as seed_all

    seed_all(seed, verbose=False)


def summary(config: TrainConfig, scores: Sequence[float], track: tracking.Run) -> float:
    """Mean and standard deviation (of a sample) over the seeds, to tracking and the console."""
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    track.metrics({"seeds/mean": mean, "seeds/std": deviation, "seeds/number": float(len(scores))})
    if fit.chief():
        shown = ", ".join(f"{seed}: {score:.4f}" for seed, score in zip(config.seeds or [], scores, strict=True))
        print(f"{config.task.name} {config.task.metric} over {len(scores)} seeds: {mean:.4f} ± {deviation:.4f} ({shown})")
    return mean


def work(config: TrainConfig, parts: Parts, called: str, loaded: Pretrained, tokens: Tokens, track: tracking.Run) -> float:
    """From the rows to the saved student and its metrics."""
    from japagen import data, layers, loss, student

    if config.export:
        export.check_packages()
    table = data.DataModule(parts, config, tokens)
    weights = loss.label_weights(data.targets(parts.train, config.task), len(config.task.labels)) if config.loss.class_weights else None

    def report(values: Mapping[str, float], step: int) -> None:
        track.metrics(values, step)
        found = ", ".join(f"{key} {values[key]:.4f}" for key in sorted(values))
        log.info("step %d of %d: %s", step, trainer.estimated_stepping_batches, found)

    model = loaded.fresh()
    if not config.trainer.compile:  # the compiler writes layers of its own
        layers.narrow(model, table.vocabulary())
    module = student.Module(model, config, weights, report)
    if config.trainer.compile:
        module.model.compile(dynamic=True)  # in place: names and type stay, so that it is saved as it is
    with fit.workplace(Path(config.student_dir), called) as part, fit.memory(config, table.batch_size):
        trainer, began = fit.make_trainer(fit.patient(config), table.steps(), part), time.perf_counter()
        if trainer.world_size > 1 and sweep.books() is not None:
            raise UserError(
                "A sweep trains each student in one process: take trainer=auto, or type the commands one by one for trainer=ddp."
            )
        with fit.interruptible():
            trainer.fit(module, datamodule=table, ckpt_path=fit.resumed(part))
        seconds, began = time.perf_counter() - began, time.perf_counter()
        rows = predictions(trainer, module, table)
        # In batches on this device, with the opening of the best checkpoint.
        each = 1000 * (time.perf_counter() - began) / max(1, len(rows))
        measured = {**measure(config, parts, rows), **parts.overlap}
        measured |= {"train/seconds": seconds, "train/examples_per_second": module.speed(), "cost/seconds_per_1000": each}
        if not fit.chief():
            return measured[f"{prefix(config, parts)}/{config.task.metric}"]
        folder = save(config, called, module, loaded.tokenizer, rows, part)
    track.tags({"folder": str(folder.absolute())})
    record(config, parts, rows, measured, track, folder)
    show(config, parts, measured, folder, tracking.where(config, track))
    return measured[f"{prefix(config, parts)}/{config.task.metric}"]


def prefix(config: TrainConfig, parts: Parts) -> str:
    """What the test metrics are called: `test` is all of gold and nothing else."""
    if config.trainer.options.get("fast_dev_run"):
        return "debug"
    return "heldout" if parts.no_gold else "test"


def announce(config: TrainConfig, parts: Parts) -> None:
    """Say what was read, and how many rows of each label, before anything takes time."""
    from japagen import data

    log.info("task %s, student %s, trained on %s", config.task.name, config.student.name, data.source(config))
    for name, rows in (("train", parts.train), ("valid", parts.valid), ("test", parts.test)):
        counts = Counter(row.label for row in rows)
        labels = ", ".join(f"{label} {counts[label]}" for label in config.task.labels) if config.task.kind == "classification" else ""
        kind = f", held out of {config.data.name}" if name == "valid" or (name == "test" and parts.no_gold) else ""
        kind = ", the training rows themselves" if name == "valid" and parts.valid == parts.train else kind
        log.info("%s: %d rows%s%s", name, len(rows), kind, f" ({labels})" if labels else "")


def tags(config: TrainConfig) -> dict[str, str]:
    """What ties this run to the run that wrote its dataset."""
    if "synthetic" not in SOURCES[config.data.name]:
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
    card = {"task": task, "student": asdict(config.student), "data": asdict(config.data), "seed": config.training_seed}
    card |= {"source": origin(config), "method": tracking.method(config, "train")}
    (new / "japagen.json").write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (new / "predictions.jsonl").write_text("".join(lines), encoding="utf-8")
    if config.logger.name != "none":
        columns = [("predicted", "double")] if config.task.kind == "regression" else [("predicted", "string"), ("probability", "double")]
        tracking.describe(new, dict.fromkeys(config.task.inputs, EXAMPLE), columns)
    if folder.exists():
        folder.rename(part / "old")
    new.rename(folder)
    return folder


def origin(config: TrainConfig) -> dict[str, str | int]:
    """What wrote the rows that the student was trained on; nothing for gold."""
    if config.data.name in ("gold", "few_gold"):
        return {}
    named: dict[str, str | int] = {"llm": config.llm.name, "prompt": config.prompt.name, "filter": config.filter.name}
    return {**named, "shots": config.shots, "num_per_label": config.num_per_label, "fingerprint": store.fingerprint(config)}


def measure(config: TrainConfig, parts: Parts, rows: Rows) -> dict[str, float]:
    """The metrics of the test rows; `score` is the task's own, on gold."""
    gold = [row["gold"] for row in rows]
    found = metric.scores(config.task, gold, [str(row["predicted"]) for row in rows])
    measured = {f"{prefix(config, parts)}/{name}": value for name, value in found.items()}
    if config.task.kind == "classification":
        measured["heldout/majority_accuracy" if parts.no_gold else "majority/accuracy"] = metric.majority(gold)
    return measured if prefix(config, parts) != "test" else {**measured, "score": found[config.task.metric]}


def record(config: TrainConfig, parts: Parts, rows: Rows, measured: Mapping[str, float], track: tracking.Run, folder: Path) -> None:
    """Hand the job's numbers, its rows' digests, the confusion matrix and, where asked for, the saved student to tracking."""
    from japagen import data

    track.metrics(measured)
    track.text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "predictions.jsonl")
    source = data.source(config)
    for name, context in (("train", "training"), ("valid", "training"), ("test", "evaluation")):
        place = "gold" if name == "test" and not parts.no_gold else source
        track.dataset(list(store.rows(getattr(parts, name), config.task)), f"{config.task.name} {name}", place, context)
    if config.task.kind == "classification":
        gold_labels, predicted = [row["gold"] for row in rows], [row["predicted"] for row in rows]
        track.figure(tracking.confusion(gold_labels, predicted, config.task.labels), "confusion.png")
    if config.export:
        track.metrics(export.onnx(folder, config, parts.test))
    if config.logger.model:
        track.model(folder)


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
