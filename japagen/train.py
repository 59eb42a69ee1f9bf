"""Seed -> data -> student -> fit -> test -> save -> metrics."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from japagen import __version__, tracking
from japagen.config.check import check
from japagen.config.choice import SOURCES
from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from japagen.dataset import identity, table
from japagen.gold.fetch import GoldMissing
from japagen.job import sweep
from japagen.student import export
from japagen.training import workplace
from japagen.training.console import announce, show, summary
from japagen.training.save import save
from japagen.training.score import Rows, measure, predictions, prefix
from japagen.training.trainer import interruptible, make_trainer, memory, patient, quiet

if TYPE_CHECKING:
    from japagen.student.pretrained import Pretrained
    from japagen.student.tokens import Tokens
    from japagen.training.data import Parts


log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> float:
    """Train the student that `cfg` names, score it on gold and save it; returns the task's metric, with several seeds its mean."""
    config = check(cfg, TrainConfig)
    with quiet():
        if not workplace.chief():
            config.logger.name = (
                "none"  # the first of the processes that train together speaks for all
            )
        load, about, seeds = (
            functools.cache(lambda: ready(config)),
            functools.cache(lambda: tags(config)),
            config.seeds or [config.seed],
        )
        if len(seeds) == 1:
            return one(config, load, about)
        with tracking.run(config, "seeds", about()) as track:
            tagged = {**about(), **({"mlflow.parentRunId": track.id} if track.id else {})}
            found = [one(replace(config, seeds=[seed]), load, lambda: tagged) for seed in seeds]
            return summary(config, found, track)


def fingerprint(name: str, parts: Parts) -> str:
    """Ten hexadecimal digits that differ where the score may: the student's `name` says its options and rows."""
    test = [[row.id, row.label, *row.texts] for row in parts.test]
    text = json.dumps([__version__, name, bool(parts.no_gold), test])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def done_before(config: TrainConfig, name: str, job: str) -> float | None:
    """The score of the same training where a sweep finds it finished and its student still there, or None."""
    folder = Path(config.student_dir) / name
    if (
        not sweep.skips(config.rerun)
        or not folder.exists()
        or (config.export and not (folder / "model.onnx").exists())
    ):
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
    from japagen.student import pretrained, tokens

    loaded = pretrained.load(config.student, config.task)
    return loaded, tokens.Tokens(loaded.tokenizer, config.student, tokens.folder())


def one(
    config: TrainConfig,
    load: Callable[[], tuple[Pretrained, Tokens]],
    about: Callable[[], Mapping[str, str]],
) -> float:
    """One training, with the one seed that `config` names; `about` gives the tags of its run."""
    from japagen.training import data, module

    try:
        parts = data.parts(config)
    except Exception as error:
        if isinstance(error, GoldMissing) and sweep.state_folder() is not None:
            raise  # the run would only be discarded
        with tracking.run(config, "train", about()):
            raise
    name = module.name(config, [*parts.train, *parts.valid])
    job = fingerprint(name, parts)
    with sweep.exclusive(job):
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


def work(
    config: TrainConfig,
    parts: Parts,
    called: str,
    loaded: Pretrained,
    tokens: Tokens,
    track: tracking.Run,
) -> float:
    """From the rows to the saved student and its metrics."""
    from japagen.training import data, few_rows, layers, loss
    from japagen.training.module import Module

    if config.export:
        export.check_packages()
    loader = data.DataModule(parts, config, tokens)
    weights = (
        loss.label_weights(data.targets(parts.train, config.task), len(config.task.labels))
        if config.loss.class_weights
        else None
    )

    def report(values: Mapping[str, float], step: int) -> None:
        track.metrics(values, step)
        found = ", ".join(f"{key} {values[key]:.4f}" for key in sorted(values))
        log.info("step %d of %d: %s", step, trainer.estimated_stepping_batches, found)

    model = loaded.fresh()
    if not config.trainer.compile:  # the compiler writes layers of its own
        layers.narrow(model, loader.vocabulary())
    few, settings = few_rows.applies(len(parts.train), config.student.few_rows, config.task), config
    if few:
        student, shorter = few_rows.adapted(config.student, config.trainer)
        settings = replace(config, student=student, trainer=shorter)
    module = Module(model, settings, weights, report)
    if config.trainer.compile:
        module.model.compile(
            dynamic=True
        )  # in place: names and type stay, so that it is saved as it is
    with (
        workplace.workplace(Path(config.student_dir), called) as part,
        memory(config, loader.batch_size),
    ):
        trainer = make_trainer(patient(settings), loader.steps(), part, few)
        began = time.perf_counter()
        if trainer.world_size > 1 and sweep.state_folder() is not None:
            raise UserError(
                "A sweep trains each student in one process: take trainer=auto, or type the commands one by one for trainer=ddp."
            )
        with interruptible():
            trainer.fit(module, datamodule=loader, ckpt_path=workplace.resumed(part))
        seconds, began = time.perf_counter() - began, time.perf_counter()
        rows = predictions(trainer, module, loader)
        # In batches on this device, with the opening of the best checkpoint.
        each = 1000 * (time.perf_counter() - began) / max(1, len(rows))
        measured = {**measure(config, parts, rows), **parts.overlap}
        measured |= {
            "train/seconds": seconds,
            "train/examples_per_second": module.speed(),
            "cost/seconds_per_1000": each,
        }
        if not workplace.chief():
            return measured[f"{prefix(config, parts)}/{config.task.metric}"]
        folder = save(config, called, module, loaded.tokenizer, rows, part)
    track.tags({"folder": str(folder.absolute())})
    record(config, parts, rows, measured, track, folder)
    show(config, parts, measured, folder, tracking.where(config, track))
    return measured[f"{prefix(config, parts)}/{config.task.metric}"]


def tags(config: TrainConfig) -> dict[str, str]:
    """What ties this run to the run that wrote its dataset."""
    if "synthetic" not in SOURCES[config.data.name]:
        return {}
    made = identity.of(config).fingerprint
    return {"fingerprint": made, "generating_run": tracking.latest(config, "generate", made)}


def record(
    config: TrainConfig,
    parts: Parts,
    rows: Rows,
    measured: Mapping[str, float],
    track: tracking.Run,
    folder: Path,
) -> None:
    """Hand the job's numbers, its rows' digests, the confusion matrix and, where asked for, the saved student to tracking."""
    from japagen.training import data

    track.metrics(measured)
    track.text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "predictions.jsonl"
    )
    source = data.source(config)
    for name, context in (("train", "training"), ("valid", "training"), ("test", "evaluation")):
        place = "gold" if name == "test" and not parts.no_gold else source
        track.dataset(
            list(table.rows(getattr(parts, name), config.task)),
            f"{config.task.name} {name}",
            place,
            context,
        )
    if config.task.kind == "classification":
        gold_labels, predicted = [row["gold"] for row in rows], [row["predicted"] for row in rows]
        track.figure(
            tracking.confusion(gold_labels, predicted, config.task.labels), "confusion.png"
        )
    if config.export:
        track.metrics(export.onnx(folder, config, parts.test))
    if config.logger.model:
        track.model(folder)
