"""Train a student on the rows that the options name, score it on gold and save it."""

from __future__ import annotations

import functools
import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from japagen import tracking
from japagen.command import record
from japagen.config.check import check
from japagen.config.schema import Student, TrainConfig
from japagen.config.task import Task
from japagen.files import write_whole
from japagen.gold.fetch import GoldMissing
from japagen.job import hub, sweep
from japagen.job.console import plain_console, shown
from japagen.student import exports
from japagen.training import identity, process
from japagen.training.identity import Training
from japagen.training.quiet import quiet
from japagen.training.score import score_keys
from japagen.training.trainer import check_options

if TYPE_CHECKING:
    from japagen.student.pretrained import Pretrained
    from japagen.student.tokens import Tokens
    from japagen.training.fit import Fitted
    from japagen.training.split import Parts

    Load = Callable[[], tuple[Pretrained, Tokens]]

log = logging.getLogger(__name__)

Tell = Callable[[Path, Mapping[str, float]], None]


@dataclass(frozen=True)
class Output:
    """What a job does with a trained student beside saving it.

    `first`: whether this process saves, records and prints. `mlflow`: write the student as MLflow's
    model; `upload`: and send it. `objective`: the score that is returned, test or valid. `method`:
    the name of its row in tables of results. `rerun`: train again what a sweep finds finished.
    `where`: how to open a run; `earlier`: the metrics of a finished run of the same job, or None.
    `tell`: is called with the folder and the metrics of a saved student. `baselines`: the scores of
    prompting on record. `hub`: the repository to upload to. `began`: a `time.monotonic()`.
    """

    first: bool
    mlflow: bool
    upload: bool
    exports: list[str]
    objective: str
    method: str
    rerun: bool
    where: Callable[[tracking.Run], str]
    earlier: Callable[[str], dict[str, float] | None]
    tell: Tell
    hub: str | None
    baselines: Callable[[], dict[str, float]]
    began: float


def run(cfg: DictConfig, tell: Tell = lambda folder, metrics: None) -> float:
    """Train the student that `cfg` names, score it and save it; return the task's metric.

    With several seeds the mean over the seeds. With objective=valid the score is that of the
    validation rows. `tell` is called with the folder and the metrics of each saved student.
    """
    config = check(cfg, TrainConfig)
    hub.check(config.push_to_hub)
    with quiet():
        check_options(config.trainer.options)
        process.check_place(config.trainer.options)
    with quiet(), process.rank(config.trainer.options):
        first = process.is_first(config.trainer.options)
        if not first:
            # Of several processes that train together only the first one records.
            config = replace(config, logger=replace(config.logger, name="none", also=[]))
        load = functools.cache(lambda: ready(config.student, config.task))
        about = functools.cache(lambda: record.dataset_tags(config))
        seeds = config.seeds or [config.seed]
        if len(seeds) == 1:
            return one(config, load, about, tell)
        with tracking.run(config, "seeds", about()) as track:
            tags = {**about(), **({"mlflow.parentRunId": track.id} if track.id else {})}
            each = (replace(config, seeds=[seed]) for seed in seeds)
            scores = [one(single, load, lambda: tags, tell) for single in each]
            return summary(config.task, seeds, scores, track, first)


def one(
    config: TrainConfig, load: Load, about: Callable[[], Mapping[str, str]], tell: Tell
) -> float:
    """Train with the one seed that `config` names; `about` returns the tags of its run."""
    from japagen.training import model_card, split
    from japagen.training.console import announce

    training, output = identity.of(config), output_of(config, tell)
    try:
        parts = split.read(training)
    except Exception as error:
        if isinstance(error, GoldMissing) and sweep.state_folder() is not None:
            raise  # the run would only be discarded
        with tracking.run(config, "train", about()):
            raise
    name = identity.name(training, [*parts.train, *parts.valid])
    job = identity.fingerprint(name, parts.test, bool(parts.no_gold))
    with sweep.exclusive(job):
        if (
            score := done_before(training.folder / name, parts, training.task, job, output)
        ) is not None:
            return score
        with tracking.run(config, "train", {**about(), "job": job}) as track:
            announce(training, parts)
            score = work(training, parts, name, load, output, track)
        # After its run has ended: a failed upload does not make a scored student a failed one.
        if output.hub and output.first:
            hub.push(training.folder / name, output.hub, "model", model_card.uploaded())
        return score


def output_of(config: TrainConfig, tell: Tell) -> Output:
    """Return what the options say about the result of a job."""
    return Output(
        first=process.is_first(config.trainer.options),
        mlflow=config.logger.mlflow,
        upload=config.logger.model,
        exports=config.exports,
        objective=config.objective,
        method=tracking.job_of(config, "train").method,
        rerun=config.rerun,
        where=lambda track: tracking.where(tracking.job_of(config, ""), track),
        earlier=lambda job: tracking.earlier(tracking.job_of(config, "train"), job),
        tell=tell,
        hub=config.push_to_hub,
        baselines=lambda: tracking.baselines(tracking.job_of(config, "train")),
        began=time.monotonic(),
    )


def done_before(folder: Path, parts: Parts, task: Task, job: str, output: Output) -> float | None:
    """Return the score of a training that a sweep finds finished, or None; add its exports."""
    if not sweep.skips(output.rerun) or not folder.exists():
        return None
    found = output.earlier(job) or {}
    for key in score_keys(output.objective, task):
        if (score := found.get(key)) is not None:
            again = "rerun=true trains it again"
            log.info("already done: %s, score %.4f (%s)", folder.name, score, again)
            exports.write_missing(folder, output.exports, parts.test, parts.train)
            sweep.note(before=True)
            return score
    return None


def ready(student: Student, task: Task) -> tuple[Pretrained, Tokens]:
    """Return the student before training and its tokenizer, loaded once for all seeds."""
    from japagen.student import pretrained, tokens

    loaded = pretrained.load(student, task)
    return loaded, tokens.Tokens(loaded.tokenizer, student, tokens.folder())


def work(
    training: Training,
    parts: Parts,
    name: str,
    load: Load,
    output: Output,
    track: tracking.Run,
) -> float:
    """Train, score, save and record one student; return its score."""
    from lightning.pytorch import seed_everything

    from japagen.student import pretrained
    from japagen.training import folder, model_card, save
    from japagen.training.fit import fit

    exports.check_packages(output.exports)
    loaded, tokens = load()
    if training.student.corpus_vocabulary:
        loaded, tokens = pretrained.for_corpus(loaded, tokens, [*parts.train, *parts.valid])
    seed_everything(training.seed, verbose=False)
    with folder.in_progress(training.folder, name, output.first) as part:
        fitted = fit(training, parts, loaded, tokens, part, track.metrics)
        keys = score_keys(output.objective, training.task)
        score = next(fitted.measured[key] for key in keys if key in fitted.measured)
        if not output.first:
            return score
        new, card = part / folder.NEW, save.card(fitted.training, output.method)
        readme = model_card.markdown(
            fitted.training, fitted.measured, len(fitted.rows), parts.no_gold, []
        )
        save.write(new, fitted.module, loaded.tokenizer, fitted.rows, card, readme)
        if output.mlflow:
            save.describe(new, training.task)
        save.publish(part, training.folder / name)
    finish(training, parts, fitted, name, output, track)
    return score


def finish(
    training: Training,
    parts: Parts,
    fitted: Fitted,
    name: str,
    output: Output,
    track: tracking.Run,
) -> None:
    """Record a saved student, export it if that is asked for, and print its scores."""
    from japagen.training import model_card
    from japagen.training.console import show
    from japagen.training.score import prefix

    folder = training.folder / name
    track.tags({"folder": str(folder.absolute())})
    record.results(training, parts, fitted, track)
    made = exports.write(folder, output.exports, parts.test, parts.train)
    if made:
        track.metrics(exports.metrics(made))
        readme = model_card.markdown(
            fitted.training, fitted.measured, len(fitted.rows), parts.no_gold, made
        )
        write_whole(folder / model_card.README, readme)
    if output.upload:
        track.model(folder)
    output.tell(folder, fitted.measured)
    part = prefix(training.trainer, parts)
    others = output.baselines() if part == "test" else {}
    where, seconds = output.where(track), time.monotonic() - output.began
    show(training, parts, fitted.measured, part, others, folder, where, seconds)
    for line in exports.lines(made):
        plain_console(soft_wrap=True).print(shown(line))


def summary(
    task: Task, seeds: Sequence[int], scores: Sequence[float], track: tracking.Run, first: bool
) -> float:
    """Record and print mean and sample standard deviation over the seeds; return the mean."""
    from japagen.training.console import show_seeds

    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    track.metrics({"seeds/mean": mean, "seeds/std": deviation, "seeds/number": float(len(scores))})
    if first:
        show_seeds(task, seeds, scores, mean, deviation)
    return mean
