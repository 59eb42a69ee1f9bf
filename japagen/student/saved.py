"""A student that train.py saved: found, opened, what it predicts, and how fast."""

from __future__ import annotations

import dataclasses
import logging
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student import card, opening
from japagen.student import predict as prediction
from japagen.student.card import CARD
from japagen.student.tokens import Tokens

if TYPE_CHECKING:
    from pandas import DataFrame


log = logging.getLogger(__name__)
SAMPLE = 100  # rows that are timed one at a time
SERVED = 32  # rows of a batch if MLflow asks
WARM = 8  # rows before the clock starts: the first ones allocate memory and, on a GPU, load kernels


@dataclass(frozen=True)
class Opened:
    """A saved student. `card` is its japagen.json."""

    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    card: dict[str, Any]

    @property
    def student(self) -> Student:
        """Return how it was trained, of which prefix and max_length matter here."""
        names = {item.name for item in dataclasses.fields(Student)}
        return Student(
            **{key: value for key, value in self.card["student"].items() if key in names}
        )


def find(path: str, folder_of_run: Callable[[str], str]) -> Path:
    """Return the folder that student.path names, directly or as the MLflow run that trained it.

    `folder_of_run` returns the folder that a run recorded, or "".
    """
    folder = Path(path).expanduser()
    if not folder.exists() and re.fullmatch(r"[0-9a-f]{32}", path):
        folder = Path(folder_of_run(path) or folder)
    if not (folder / CARD).is_file():
        what = f"holds no {CARD}" if folder.is_dir() else "is no folder"
        raise UserError(
            f"student.path={path}: {folder} {what}; give a folder as train.py printed it "
            f"(student: ...), or the id of the MLflow run that trained it, with the mlflow_uri of "
            f"that run"
        )
    return folder


def load(folder: Path, task: Task) -> Opened:
    """Open a student; UserError if it is damaged or was trained for another task or labels."""
    found = card.parse(folder, "student.path")
    trained = found["task"]
    differing = [key for key in ("name", *card.FIELDS) if trained.get(key) != getattr(task, key)]
    if differing:
        key = differing[0]
        name = trained.get("name")
        raise UserError(
            f"the student {folder} was trained for task {name}: its task's {key} is "
            f"{trained.get(key)}, that of task={task.name} is {getattr(task, key)}. "
            f"Type task={name}"
        )
    model, tokenizer = opening.open_saved(folder, "student.path")
    return Opened(folder, model, tokenizer, found)


def predict(
    opened: Opened, rows: Sequence[Example], task: Task, batch_size: int
) -> list[dict[str, Any]]:
    """Return id, gold, predicted and, for labels, probability of `rows`, in their order."""
    tokens = Tokens(opened.tokenizer, opened.student, None)
    return prediction.predict(opened.model, tokens, rows, task, batch_size)


def _load_pyfunc(path: str) -> Served:
    """Open the folder `path` as a model of MLflow, which calls this function by name."""
    trained = card.parse(Path(path), "model")["task"]
    task = Task(**{key: trained[key] for key in ("name", "kind", "inputs", "metric", "labels")})
    return Served(load(Path(path), task), task)


@dataclass(frozen=True)
class Served:
    """A saved student as MLflow's model."""

    opened: Opened
    task: Task

    def predict(self, frame: DataFrame, params: object = None) -> DataFrame:
        """Return `predicted` and, for labels, `probability` of texts in a column for each input."""
        from pandas import DataFrame

        columns = [frame[name].astype(str) for name in self.task.inputs]
        rows = [Example(str(n), texts, "") for n, texts in enumerate(zip(*columns, strict=True))]
        found = predict(self.opened, rows, self.task, SERVED)
        return DataFrame(
            [
                {key: row[key] for key in ("predicted", "probability") if key in row}
                for row in found
            ],
            index=frame.index,
        )


def devices() -> list[str]:
    """Return the CPU, and the GPU if there is one."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def move(opened: Opened, device: str) -> None:
    """Put the model on a device."""
    opened.model.to(device)  # type: ignore[arg-type]


def timed(
    opened: Opened, rows: Sequence[Example], task: Task, batch_size: int, seed: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return (predictions, speeds in rows per second) on each device; predictions of the last one.

    Speeds: one row at a time on a sample drawn by `seed`, then all rows in batches.
    """
    found, speeds = list[dict[str, Any]](), dict[str, float]()
    sample = random.Random(seed).sample(list(rows), min(SAMPLE, len(rows)))
    for device in devices():
        move(opened, device)
        name = "speed/" if device == "cpu" else "speed/gpu_"
        predict(opened, rows[:WARM], task, batch_size)
        begin = time.perf_counter()
        for row in sample:
            predict(opened, [row], task, 1)
        speeds[f"{name}batch_1"] = len(sample) / (time.perf_counter() - begin)
        begin = time.perf_counter()
        found = predict(opened, rows, task, batch_size)
        speeds[f"{name}batched"] = len(rows) / (time.perf_counter() - begin)
        log.info(
            "%s: %.1f rows/s one at a time, %.1f in batches of %d",
            device,
            *list(speeds.values())[-2:],
            batch_size,
        )
    return found, speeds
