"""Accuracy of a student on few gold rows, over seeds, measured on rows held out of gold train.

python benchmarks/few_rows.py TASK [seeds] [rows held out] [overrides of train.py ...]
JAPAGEN_DATA must name gold data. student.few_rows.rows=0 trains as on many rows. Two lines:
each seed with other gold rows, and all seeds with those of seed 0.
The seed also draws the valid rows. No gold test row is read.
`wrong=0.3` among the overrides gives that share of the training rows of each label another label.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra import compose, initialize_config_dir

from japagen import train
from japagen.config import schema
from japagen.config.check import check
from japagen.config.schema import TrainConfig
from japagen.gold import load, metric
from japagen.gold.example import Example
from japagen.student import pretrained, tokens
from japagen.training import data, few_rows, layers, workplace
from japagen.training.module import Module
from japagen.training.score import predictions
from japagen.training.trainer import make_trainer, patient, quiet


def options(task: str, overrides: Sequence[str]) -> TrainConfig:
    """What every training has."""
    schema.register(TrainConfig)
    fixed = [f"task={task}", "data=few_gold", "logger=none", "trainer=cpu"]
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        return check(compose("train", overrides=[*fixed, *overrides]), TrainConfig)


def flipped(rows: Sequence[Example], share: float, labels: Sequence[str]) -> list[Example]:
    """The rows, a share of those of each label with another label."""
    draw, found = random.Random(0), list[Example]()
    for label in labels:
        mine = [row for row in rows if row.label == label]
        wrong = set(draw.sample(range(len(mine)), round(share * len(mine))))
        others = [other for other in labels if other != label]
        found += [
            replace(row, label=draw.choice(others)) if place in wrong else row
            for place, row in enumerate(mine)
        ]
    return found


def one(
    settings: TrainConfig,
    loaded: tuple[pretrained.Pretrained, tokens.Tokens],
    train_rows: list[Example],
    held: list[Example],
    seed: int,
) -> float:
    """Accuracy on the held-out rows of one training."""
    settings.seeds = [seed]
    pools, valid = data.share_out({"gold": train_rows}, settings)
    parts = data.Parts(pools["gold"], valid, held)
    train.seed_everything(seed)
    table = data.DataModule(parts, settings, loaded[1])
    model = loaded[0].fresh()
    layers.narrow(model, table.vocabulary())
    few = few_rows.applies(len(parts.train), settings.student.few_rows, settings.task)
    if few:
        student, shorter = few_rows.adapted(settings.student, settings.trainer)
        settings = replace(settings, student=student, trainer=shorter)
    module = Module(model, settings, None, lambda values, step: None)
    with tempfile.TemporaryDirectory() as folder, workplace.workplace(Path(folder), "one") as part:
        trainer = make_trainer(patient(settings), table.steps(), part, few)
        trainer.fit(module, datamodule=table)
        rows = predictions(trainer, module, table)
    gold, predicted = zip(*((row["gold"], str(row["predicted"])) for row in rows), strict=True)
    return metric.scores(settings.task, gold, predicted)["accuracy"]


def main(task: str, seeds: int, limit: int, overrides: Sequence[str]) -> None:
    """Two lines of figures."""
    wrong = sum(float(word.partition("=")[2]) for word in overrides if word.startswith("wrong="))
    settings = options(task, [word for word in overrides if not word.startswith("wrong=")])
    rows = load.load(settings.task, "train", settings.gold_dir)
    random.Random(0).shuffle(rows)
    held, pool = rows[:limit], rows[limit:]
    loaded = pretrained.load(settings.student, settings.task)
    ready = (loaded, tokens.Tokens(loaded.tokenizer, settings.student, None))
    for same in (False, True):
        scores = list[float]()
        for seed in range(seeds):
            drawn = load.draw_shots(
                pool, settings.task, settings.data.shots or 16, 0 if same else seed
            )
            chosen = [row for shots in drawn.values() for row in shots]
            chosen = flipped(chosen, wrong, settings.task.labels)
            scores.append(one(settings, ready, chosen, held, seed))
        mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
        shown = ", ".join(f"{score:.3f}" for score in scores)
        which = "the same rows" if same else "other rows for each seed"
        print(f"{task}, {which}: {mean:.3f} ± {deviation:.3f} ({shown})", flush=True)


if __name__ == "__main__":
    with quiet():
        main(
            sys.argv[1],
            int(sys.argv[2]) if len(sys.argv) > 2 else 5,
            int(sys.argv[3]) if len(sys.argv) > 3 else 300,
            sys.argv[4:],
        )
