"""The commands `japagen generate`, `train`, `evaluate`, `predict`, `serve`, `report`, `sync`."""

from __future__ import annotations

import os
import sys

from omegaconf import DictConfig

from japagen import stop
from japagen.config import schema
from japagen.job.command import command, completes
from japagen.job.job import job, loading

USAGE = """Labelled Japanese training data from an LLM, and compact students trained on it.

usage: japagen COMMAND [NAME=VALUE ...]

  generate   write a synthetic dataset with an LLM
  train      train a student on a synthetic or gold dataset and score it on gold
  evaluate   score on gold: the LLM itself, a saved student, or a synthetic dataset
  predict    label the rows of a file with a saved student
  report     one table and its plots from all recorded runs
  serve      answer requests over HTTP with a saved student
  sync       send runs to MLflow that were kept in files while it failed

japagen COMMAND --help lists the options of a command."""

COMMANDS = ("generate", "train", "evaluate", "predict", "report", "serve", "sync")

# Lightning starts the processes of trainer=ddp with the arguments of a saved job alone.
COMMAND = "JAPAGEN_COMMAND"


@stop.unread()
def main() -> None:
    """Run the command that sys.argv names: `japagen` and `python -m japagen`."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if completes([name]):
        name = completed()
    elif name.startswith("-") and name not in ("-h", "--help") and COMMAND in os.environ:
        name = os.environ[COMMAND]
    else:
        del sys.argv[1:2]
    if name in JOBS:
        os.environ[COMMAND] = name
        run(name, f"japagen {name}")
    elif name == "predict":
        from japagen.prediction.command import main as predict

        raise SystemExit(predict(sys.argv[1:]))
    elif name == "report":
        from japagen.report.__main__ import main as report

        raise SystemExit(report(sys.argv[1:]))
    elif name == "serve":
        from japagen.service.__main__ import main as serve

        raise SystemExit(serve(sys.argv[1:]))
    elif name == "sync":
        from japagen.tracking.__main__ import main as sync

        sys.argv.insert(1, "sync")
        sync()
    else:
        print(USAGE, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
        raise SystemExit(0 if name in ("-h", "--help") else 2)


def completed() -> str:
    """The job whose options a shell completes, after its name was removed from the typed line."""
    line = os.environ.get("COMP_LINE", "")
    program, name, *rest = [*line.split(), "", ""]
    words = rest[:-2]
    # After a space, a new word begins.
    begun = bool(words) or (name in COMMANDS and line.endswith(" "))
    asked = any("query" in word for word in sys.argv)
    if asked and (not begun or name not in JOBS):
        print("" if begun else " ".join(COMMANDS))
        raise SystemExit(0)
    os.environ["COMP_LINE"] = " ".join([program, *words, *([""] if line.endswith(" ") else [])])
    return name if name in JOBS else "generate"


@stop.unread()
def run(name: str, program: str) -> None:
    """Run the job `name` under Hydra with the options in sys.argv; `program`: as typed."""
    config, about, task = JOBS[name]
    with command(config, about, program):
        import hydra

        schema.register(config)
        hydra.main(version_base="1.3", config_path=str(schema.CONF), config_name=name)(task)()


def generate(cfg: DictConfig) -> None:
    """Write a synthetic dataset."""
    with job():
        with loading():
            from japagen.command.generate import run

        run(cfg)


def train(cfg: DictConfig) -> float | None:
    """Train a student; its score."""
    with job():
        with loading():
            from japagen.training.process import drop_unreadable

            drop_unreadable()
            from japagen.command.train import run

        return run(cfg)
    return None


def evaluate(cfg: DictConfig) -> float | None:
    """Evaluate an LLM, a student or a dataset; its score."""
    with job():
        with loading():
            from japagen.command.evaluate import run

        return run(cfg)
    return None


# Name -> its options, what it does, and the function that Hydra calls with the config.
JOBS = {
    "generate": (schema.GenerateConfig, "Write a synthetic dataset with an LLM.", generate),
    "train": (
        schema.TrainConfig,
        "Train a student on a synthetic or gold dataset and score it on gold.",
        train,
    ),
    "evaluate": (
        schema.EvaluateConfig,
        "Score on gold: the LLM prompted for the answer, a saved student, or a synthetic dataset.",
        evaluate,
    ),
}
