"""A student that train.py saved: found, opened, what it predicts, and how fast."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from japagen import tracking
from japagen.config.error import UserError
from japagen.config.schema import EvaluateConfig, Student
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student.batch import Rows, chunks
from japagen.student.card import CARD
from japagen.student.tokens import Tokens

if TYPE_CHECKING:
    from pandas import DataFrame


log = logging.getLogger(__name__)
SAMPLE = 100  # rows that are timed one by one
SERVED = 32  # rows of a batch where MLflow asks
WARM = 8  # rows before the clock starts: the first ones pay for memory and, on a GPU, for kernels


@dataclass(frozen=True)
class Opened:
    """A saved student. `card` is its japagen.json."""

    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    card: dict[str, Any]

    @property
    def student(self) -> Student:
        """How it was trained, of which prefix and max_length matter here."""
        names = {item.name for item in dataclasses.fields(Student)}
        return Student(
            **{key: value for key, value in self.card["student"].items() if key in names}
        )


def find(config: EvaluateConfig) -> Path:
    """The folder that student.path names, itself or as the run that trained it."""
    path = config.student.path or ""
    folder = Path(path).expanduser()
    if not folder.exists() and re.fullmatch(r"[0-9a-f]{32}", path):
        folder = Path(tracking.folder_of(config.mlflow_uri, path) or folder)
    if not (folder / CARD).is_file():
        what = "holds no japagen.json" if folder.is_dir() else "is no folder"
        mend = "give a folder as train.py printed it (student: ...), or the id of the MLflow run that trained it"
        raise UserError(
            f"student.path={path}: {folder} {what}; {mend}, with the mlflow_uri of that run"
        )
    return folder


def load(folder: Path, task: Task) -> Opened:
    """Open a student; UserError if it was trained for another task, or other labels, than `task`."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    differing = [
        key
        for key in ("name", "kind", "inputs", "labels")
        if card["task"][key] != getattr(task, key)
    ]
    if differing:
        key, trained = differing[0], card["task"]
        said = (
            f"its task's {key} is {trained[key]}, that of task={task.name} is {getattr(task, key)}"
        )
        raise UserError(
            f"the student {folder} was trained for task {trained['name']}: {said}. Type task={trained['name']}"
        )
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    ).eval()
    return Opened(folder, model, AutoTokenizer.from_pretrained(folder, local_files_only=True), card)


def _load_pyfunc(path: str) -> Served:
    """What MLflow calls to open the folder `path` as a model."""
    card = json.loads((Path(path) / CARD).read_text(encoding="utf-8"))
    task = Task(
        **{key: card["task"][key] for key in ("name", "kind", "inputs", "metric", "labels")}
    )
    return Served(load(Path(path), task), task)


@dataclass(frozen=True)
class Served:
    """A saved student as MLflow's model."""

    opened: Opened
    task: Task

    def predict(self, frame: DataFrame, params: object = None) -> DataFrame:
        """Texts in a column for each of the task's inputs -> `predicted` and, for labels, `probability`."""
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
    """The CPU, and the GPU where there is one."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def move(opened: Opened, device: str) -> None:
    """Put the model on a device."""
    opened.model.to(device)  # type: ignore[arg-type]


def read(logits: Tensor, task: Task) -> list[dict[str, Any]]:
    """What each row of logits says: a score, or a label and its probability."""
    if task.kind == "regression":
        return [{"predicted": value} for value in logits.squeeze(-1).tolist()]
    best, number = logits.softmax(-1).max(-1)
    pairs = zip(best.tolist(), number.tolist(), strict=True)
    return [
        {"predicted": task.labels[label], "probability": round(share, 6)} for share, label in pairs
    ]


@torch.inference_mode()
def predict(
    opened: Opened, rows: Sequence[Example], task: Task, batch_size: int
) -> list[dict[str, Any]]:
    """One line for each row, in its order, from the texts on: id, gold, predicted, for labels a probability."""
    tokens = Tokens(opened.tokenizer, opened.student, None)
    columns, _ = tokens.columns(rows)
    table, found = Rows(columns, [0.0] * len(rows), tokens.pads), dict[int, dict[str, Any]]()
    for places in chunks(sorted(range(len(rows)), key=table.lengths.__getitem__), batch_size):
        batch = {
            name: column.to(opened.model.device)
            for name, column in table[places].items()
            if name in columns
        }
        found.update(
            zip(places, read(opened.model(**batch).logits.float().cpu(), task), strict=True)
        )
    return [{"id": row.id, "gold": row.label, **found[place]} for place, row in enumerate(rows)]


def timed(
    opened: Opened, rows: Sequence[Example], config: EvaluateConfig
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """(predictions by the last device, rows per second: one by one on a sample, then in batches; on each device)."""
    found, speeds = list[dict[str, Any]](), dict[str, float]()
    sample = random.Random(config.seed).sample(list(rows), min(SAMPLE, len(rows)))
    for device in devices():
        move(opened, device)
        name = "speed/" if device == "cpu" else "speed/gpu_"
        predict(opened, rows[:WARM], config.task, config.student.batch_size)
        begin = time.perf_counter()
        for row in sample:
            predict(opened, [row], config.task, 1)
        speeds[f"{name}batch_1"] = len(sample) / (time.perf_counter() - begin)
        begin = time.perf_counter()
        found = predict(opened, rows, config.task, config.student.batch_size)
        speeds[f"{name}batched"] = len(rows) / (time.perf_counter() - begin)
        log.info(
            "%s: %.1f rows/s one by one, %.1f in batches of %d",
            device,
            *list(speeds.values())[-2:],
            config.student.batch_size,
        )
    return found, speeds
