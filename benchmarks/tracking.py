"""Seconds that MLflow adds to a job. Works in a temporary folder.

PYTHONPATH=. python benchmarks/tracking.py [jobs]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

from japagen import tracking
from japagen.config.schema import LLM, Data, Logger, Prompt, Student, TrainConfig, Trainer
from japagen.config.task import Task, Wording


def config(logger: str) -> TrainConfig:
    """The config of a train.py job, as `check` returns it."""
    task = Task(name="jnli", inputs=["sentence1"], labels=["a", "b"], wording=Wording(system="x"))
    llm = LLM(_target_="x", name="fake", model="fake")
    student, trainer = Student(name="tiny", pretrained="random:tiny"), Trainer(name="cpu")
    given = {
        "prompt": Prompt(name="zero_shot"),
        "data": Data(name="synthetic"),
        "logger": Logger(name=logger),
    }
    return TrainConfig(task=task, llm=llm, student=student, trainer=trainer, **given)


def job(logger: str) -> float:
    """Seconds for recording one training: twelve validations, three tables, a figure and tags."""
    began, rows = (
        time.perf_counter(),
        [{"id": str(n), "sentence1": "犬が走る。", "label": "a"} for n in range(500)],
    )
    with tracking.run(
        config(logger),
        "train",
        {"fingerprint": tracking.latest(tracking.job_of(config(logger), "generate"), "abc")},
    ) as run:
        for step in range(12):
            run.metrics({"valid/accuracy": 0.5, "valid/loss": 1.0, "train/loss": 1.0}, step)
        for name in ("train", "valid", "test"):
            run.dataset(rows, name, "synthetic/x", "training")
        run.figure(tracking.confusion(["a", "b"], ["a", "a"], ["a", "b"]), "confusion.png")
    return time.perf_counter() - began


def main() -> None:
    """Measure the first job in a new store, later jobs, and jobs with logger=none."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        first = job("mlflow")
        later = sorted(job("mlflow") for _ in range(number))
        none = sorted(job("none") for _ in range(number))
    print(f"first job, which creates the store: {first:.2f} s")
    print(f"later jobs: median {later[number // 2]:.3f} s, worst {later[-1]:.3f} s", end="; ")
    print(f"with logger=none: median {none[number // 2]:.3f} s")


if __name__ == "__main__":
    main()
