"""Training speed of JapaGen, of JapaGen without each of its measures, and of transformers.Trainer.

    PYTHONPATH=. python benchmarks/training.py [rows] [seeds] [overrides of train.py ...]

JAPAGEN_DATA must name gold data. Requires `accelerate` for transformers.Trainer, which runs with
its defaults.

All use the same student, rows, batch size, epochs and learning rate, and are scored on the whole
gold test set. The time of one epoch is measured from its first to its last step, with the reading
of the rows. A short training before the first one of each side is not counted. The results
without single measures use seed 0.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch import Callback, seed_everything
from transformers import TrainerCallback

from japagen.config import schema
from japagen.config.check import check
from japagen.config.schema import TrainConfig
from japagen.gold import metric
from japagen.student import batch, pretrained, tokens
from japagen.training import data, embedding, folder, identity, split
from japagen.training.module import Module
from japagen.training.quiet import quiet
from japagen.training.score import predictions
from japagen.training.trainer import make_trainer


@contextmanager
def patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set `owner.name` to `value` within the context."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, old)


def options(rows: int, overrides: list[str]) -> TrainConfig:
    """The config that both sides use."""
    schema.register(TrainConfig)
    fixed = [
        "task=jsts",
        "data=gold",
        "logger=none",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "trainer.min_steps=0",
        "trainer.max_steps=0",
    ]
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        cfg = compose("train", overrides=[*fixed, f"data.fraction={rows / 11205:.6f}", *overrides])
    return check(cfg, TrainConfig)


class Clock(Callback):
    """Seconds from the start of the first step to the end of the last."""

    began = seconds = 0.0

    def on_train_epoch_start(self, *around: Any) -> None:
        """Begin."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, *around: Any) -> None:
        """Perhaps the last."""
        self.seconds = time.perf_counter() - self.began


class TheirClock(TrainerCallback):
    """The same for transformers.Trainer."""

    began = seconds = 0.0

    def on_epoch_begin(self, *around: Any, **more: Any) -> None:
        """Begin."""
        self.began = time.perf_counter()

    def on_step_end(self, *around: Any, **more: Any) -> None:
        """Perhaps the last."""
        self.seconds = time.perf_counter() - self.began


def ours(settings: TrainConfig, seed: int, score: bool) -> tuple[float, float | None]:
    """(examples per second, score or None) of one training by JapaGen."""
    settings.seeds = [seed]
    training = identity.of(settings)
    parts = split.read(training)
    loaded = pretrained.load(settings.student, settings.task)
    seed_everything(seed, verbose=False)
    table = data.DataModule(
        parts, training, tokens.Tokens(loaded.tokenizer, settings.student, None)
    )
    model = loaded.fresh()
    embedding.narrow(model, table.vocabulary())
    module = Module(model, training, None, lambda values, step: None)
    clock, rows = Clock(), list[Any]()
    with (
        tempfile.TemporaryDirectory() as place,
        folder.in_progress(Path(place), "one", True) as part,
    ):
        trainer = make_trainer(settings.trainer, table.steps(), part)
        trainer.callbacks.append(clock)  # type: ignore[attr-defined]
        trainer.fit(module, datamodule=table)
        rows += predictions(trainer, module, table) if score else []
    return len(parts.train) / clock.seconds, scored(
        settings, [(row["gold"], str(row["predicted"])) for row in rows]
    )


def scored(settings: TrainConfig, pairs: list[tuple[str, str]]) -> float | None:
    """The task's metric for (gold, predicted) pairs; None without pairs."""
    if not pairs:
        return None
    gold, predicted = zip(*pairs, strict=True)
    return metric.scores(settings.task, gold, predicted)[settings.task.metric]


def theirs(
    settings: TrainConfig, seed: int, score: bool, max_length: bool = False
) -> tuple[float, float | None]:
    """The same by transformers.Trainer; with `max_length`, every row is padded to max_length."""
    from transformers import Trainer, TrainingArguments

    settings.seeds = [seed]
    training = identity.of(settings)
    parts = split.read(training)
    loaded = pretrained.load(settings.student, settings.task)
    padding: dict[str, Any] = (
        {"padding": "max_length", "truncation": True, "max_length": settings.student.max_length}
        if max_length
        else {}
    )

    def encoded(rows: list[Any]) -> list[dict[str, Any]]:
        found = loaded.tokenizer(
            [settings.student.prefix + row.texts[0] for row in rows],
            [row.texts[1] for row in rows],
            **(padding or {"truncation": True}),
        )
        return [
            {**{key: found[key][n] for key in found}, "labels": float(row.label)}
            for n, row in enumerate(rows)
        ]

    size = data.DataModule(
        parts, training, tokens.Tokens(loaded.tokenizer, settings.student, None)
    ).batch_size
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            place,
            num_train_epochs=1,
            per_device_train_batch_size=size,
            learning_rate=settings.student.learning_rate,
            seed=seed,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            logging_strategy="no",
        )
        seed_everything(seed, verbose=False)
        clock = TheirClock()
        trainer = Trainer(
            loaded.fresh(),
            arguments,
            train_dataset=encoded(parts.train),
            processing_class=loaded.tokenizer,
            callbacks=[clock],
        )
        trainer.train()
        speed = len(parts.train) / clock.seconds
        found = trainer.predict(encoded(parts.test)).predictions.reshape(-1) if score else ()
    return speed, scored(
        settings, [(row.label, str(value)) for row, value in zip(parts.test, found, strict=False)]
    )


def measures() -> dict[str, tuple[Any, list[str]]]:
    """Row name -> (context that turns one measure off, overrides that turn it off)."""
    plain_adamw = patched(torch.optim, "AdamW", lambda *a, **k: OLD(*a, **{**k, "fused": False}))
    return {
        "  without bf16": (nullcontext(), ["trainer.options.precision=32-true"]),
        "  without length buckets": (patched(batch, "WINDOW", 0), []),
        "  without fused AdamW": (plain_adamw, []),
        "  with the whole embedding": (patched(embedding, "narrow", lambda model, ids: None), []),
    }


def main() -> None:
    """Measure and print."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    rows, seeds = (numbers + [640, 1][len(numbers) :])[:2]
    overrides = [word for word in sys.argv[1:] if not word.isdigit()]
    results: dict[str, list[tuple[float, float | None]]] = {}

    def note(name: str, found: tuple[float, float | None]) -> None:
        results.setdefault(name, []).append(found)
        print(f"# {name.strip()}: {found}", file=sys.stderr, flush=True)

    with quiet():
        for side in (ours, theirs):  # warm-up: the first training of a process is slower
            side(options(64, overrides), 0, False)
        for seed in range(seeds):
            note("JapaGen", ours(options(rows, overrides), seed, score=True))
            note("transformers.Trainer", theirs(options(rows, overrides), seed, score=True))
        for name, (patch, extra) in measures().items():
            with patch:
                note(name, ours(options(rows, [*extra, *overrides]), 0, score=False))
        note(
            "  padded to max_length",
            theirs(options(rows, overrides), 0, score=False, max_length=True),
        )
    table(
        results,
        f"{rows} rows, {seeds} seeds, {torch.get_num_threads()} threads, torch {torch.__version__}",
    )


def table(results: dict[str, list[tuple[float, float | None]]], title: str) -> None:
    """Print the mean speed, the ratio to transformers.Trainer for each seed, and the mean score."""
    print(title)
    base = [speed for speed, _ in results["transformers.Trainer"]]
    for name, found in results.items():
        speeds, scores = (
            [speed for speed, _ in found],
            [score for _, score in found if score is not None],
        )
        ratios = ", ".join(
            f"{speed / other:.2f}" for speed, other in zip(speeds, base, strict=False)
        )
        deviation = f" ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else ""
        score = f"score {statistics.fmean(scores):.4f}{deviation}" if scores else ""
        print(f"{name:<28}{statistics.fmean(speeds):7.1f} examples/s  {ratios} times  {score}")


OLD = torch.optim.AdamW

if __name__ == "__main__":
    main()
