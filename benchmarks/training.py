"""Examples per second of training: JapaGen's loop, without each of its measures, and transformers.Trainer with its defaults.

python benchmarks/training.py [rows] [seeds] [overrides of train.py ...]      JAPAGEN_DATA must name gold data
The same student, rows, batch size, epochs and learning rate; scored on the whole gold test set. One epoch.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from japagen import batch, config, data, fit, metric, pretrained, student, tokens, train
from japagen.check import check
from japagen.config import TrainConfig


@contextmanager
def patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    """`owner.name` is `value` for a while."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


def options(rows: int, overrides: list[str]) -> TrainConfig:
    """What both sides train with."""
    config.register(TrainConfig)
    fixed = ["task=jsts", "data=gold", "logger=none", "trainer=cpu", "trainer.max_epochs=1", "trainer.min_steps=0", "trainer.max_steps=0"]
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        cfg = compose("train", overrides=[*fixed, f"data.fraction={rows / 11205:.6f}", *overrides])
    return check(cfg, TrainConfig)


def ours(settings: TrainConfig, seed: int) -> tuple[float, float]:
    """(examples per second, score) of one training by JapaGen's loop."""
    settings.seeds = [seed]
    parts = data.parts(settings)
    loaded = pretrained.load(settings.student, settings.task)
    train.seed_everything(seed)
    table = data.DataModule(parts, settings, tokens.Tokens(loaded.tokenizer, settings.student, None))
    module = student.Module(loaded.fresh(), settings, None, lambda values, step: None)
    with tempfile.TemporaryDirectory() as folder, fit.workplace(fit.Path(folder), "one") as part:
        trainer = fit.make_trainer(settings.trainer, table.steps(), part)
        trainer.fit(module, datamodule=table)
        rows = train.predictions(trainer, module, table)
    found = metric.scores(settings.task, [row["gold"] for row in rows], [str(row["predicted"]) for row in rows])
    return module.speed(), found[settings.task.metric]


def theirs(settings: TrainConfig, seed: int, max_length: bool = False) -> tuple[float, float]:
    """The same by transformers.Trainer as it comes; with `max_length` every row is padded to that."""
    from transformers import Trainer, TrainingArguments

    settings.seeds = [seed]
    parts = data.parts(settings)
    loaded = pretrained.load(settings.student, settings.task)
    padding: dict[str, Any] = {"padding": "max_length", "truncation": True, "max_length": settings.student.max_length} if max_length else {}

    def encoded(rows: list[Any]) -> list[dict[str, Any]]:
        found = loaded.tokenizer([row.texts[0] for row in rows], [row.texts[1] for row in rows], **(padding or {"truncation": True}))
        return [{**{key: found[key][n] for key in found}, "labels": float(row.label)} for n, row in enumerate(rows)]

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=1, per_device_train_batch_size=settings.data.batch_size, learning_rate=settings.student.learning_rate,
            seed=seed, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, logging_strategy="no",
        )  # fmt: skip
        train.seed_everything(seed)
        trainer = Trainer(loaded.fresh(), arguments, train_dataset=encoded(parts.train), processing_class=loaded.tokenizer)
        begin = time.perf_counter()
        trainer.train()
        speed = len(parts.train) / (time.perf_counter() - begin)
        scores = trainer.predict(encoded(parts.test)).predictions.reshape(-1)
    found = metric.scores(settings.task, [row.label for row in parts.test], [str(score) for score in scores])
    return speed, found[settings.task.metric]


def main() -> None:
    """Measure and print."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    rows, seeds = (numbers + [640, 1][len(numbers) :])[:2]
    overrides = [word for word in sys.argv[1:] if not word.isdigit()]
    plain_adamw = patched(torch.optim, "AdamW", lambda *a, **k: OLD(*a, **{**k, "fused": False}))
    variants: dict[str, tuple[Any, list[str]]] = {
        "JapaGen": (nullcontext(), []),
        "  without bf16": (nullcontext(), ["trainer.options.precision=32-true"]),
        "  without length buckets": (patched(batch, "WINDOW", 0), []),
        "  without fused AdamW": (plain_adamw, []),
    }
    results: dict[str, list[tuple[float, float]]] = {}
    with fit.quiet():
        for seed in range(seeds):
            for name, (patch, extra) in variants.items():
                with patch if seed == 0 else nullcontext():
                    if seed == 0 or name == "JapaGen":
                        results.setdefault(name, []).append(ours(options(rows, [*extra, *overrides]), seed))
            results.setdefault("transformers.Trainer", []).append(theirs(options(rows, overrides), seed))
            if seed == 0:
                results.setdefault("  padded to max_length", []).append(theirs(options(rows, overrides), seed, max_length=True))
    base = statistics.fmean(speed for speed, _ in results["transformers.Trainer"])
    print(f"{rows} rows, {torch.get_num_threads()} threads, {torch.__version__}")
    for name, found in results.items():
        speeds, scores = zip(*found, strict=True)
        deviation = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
        speed = statistics.fmean(speeds)
        print(f"{name:<28}{speed:7.1f} examples/s  {speed / base:5.2f} times  score {statistics.fmean(scores):.4f}{deviation}")


OLD = torch.optim.AdamW

if __name__ == "__main__":
    main()
