"""Scores of a student on few gold rows, over seeds, on rows held out of gold train.

python benchmarks/few_rows.py TASK [seeds] [rows held out] [overrides of train.py ...]
JAPAGEN_DATA must name gold data. student.few_rows.rows=0 trains as on many rows. Prints a line for
each metric: first with other gold rows for each seed, then with those of seed 0 for all. No gold
test row is read.
`wrong=0.3` among the overrides gives this share of the training rows of each label another label.
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
from lightning.pytorch import seed_everything

from japagen.config import schema
from japagen.config.check import check
from japagen.config.schema import TrainConfig
from japagen.gold import load, metric
from japagen.gold.example import Example
from japagen.student import pretrained, tokens
from japagen.training import folder, identity, split
from japagen.training.fit import fit
from japagen.training.identity import Training
from japagen.training.quiet import quiet


def options(task: str, overrides: Sequence[str]) -> Training:
    """Return the options that every training has."""
    schema.register(TrainConfig)
    fixed = [f"task={task}", "data=few_gold", "logger=none", "trainer=cpu"]
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        config = check(compose("train", overrides=[*fixed, *overrides]), TrainConfig)
    return identity.of(config)


def flipped(rows: Sequence[Example], share: float, labels: Sequence[str]) -> list[Example]:
    """Return the rows, a share of those of each label with another label."""
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


def measured(
    training: Training,
    loaded: tuple[pretrained.Pretrained, tokens.Tokens],
    rows: list[Example],
    held: list[Example],
) -> dict[str, float]:
    """Return the metrics on the held-out rows of one training."""
    task, seed = training.task, training.seed
    train, valid = split.train_and_valid({"gold": rows}, training.data, task, seed)
    parts = split.Parts(train, valid, held)
    seed_everything(seed, verbose=False)
    with (
        tempfile.TemporaryDirectory() as place,
        folder.in_progress(Path(place), "one", True) as part,
    ):
        found = fit(training, parts, *loaded, part, lambda values, step: None)
    gold, predicted = [row["gold"] for row in found.rows], [row["predicted"] for row in found.rows]
    return metric.scores(task, gold, list(map(str, predicted)))


def main(task: str, seeds: int, limit: int, overrides: Sequence[str]) -> None:
    """Print the figures."""
    wrong = sum(float(word.partition("=")[2]) for word in overrides if word.startswith("wrong="))
    training = options(task, [word for word in overrides if not word.startswith("wrong=")])
    rows = load.load(training.task, "train", training.gold_dir)
    random.Random(0).shuffle(rows)
    held, pool = rows[:limit], rows[limit:]
    model = pretrained.load(training.student, training.task)
    loaded = (model, tokens.Tokens(model.tokenizer, training.student, None))
    for same in (False, True):
        scores = list[dict[str, float]]()
        for seed in range(seeds):
            shots = training.data.shots or 16
            drawn = load.draw_shots(pool, training.task, shots, 0 if same else seed)
            chosen = [row for of_label in drawn.values() for row in of_label]
            if wrong:
                chosen = flipped(chosen, wrong, training.task.labels)
            scores.append(measured(replace(training, seed=seed), loaded, chosen, held))
        which = "the same rows" if same else "other rows for each seed"
        for name in scores[0]:
            values = [score[name] for score in scores]
            mean, deviation = statistics.fmean(values), statistics.stdev(values)
            shown = ", ".join(f"{value:.3f}" for value in values)
            print(f"{task}, {which}: {name} {mean:.3f} ± {deviation:.3f} ({shown})", flush=True)


if __name__ == "__main__":
    with quiet():
        main(
            sys.argv[1],
            int(sys.argv[2]) if len(sys.argv) > 2 else 5,
            int(sys.argv[3]) if len(sys.argv) > 3 else 300,
            sys.argv[4:],
        )
