"""A saved student: found by its folder or run, opened for a task, and as a model of MLflow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.student import card
from japagen.student.backend import AUTO
from japagen.student.card import CARD
from japagen.student.predictor import Predictor

if TYPE_CHECKING:
    from pandas import DataFrame


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


def check(folder: Path, task: Task) -> dict[str, object]:
    """Return the card; UserError if the student was trained for another task or labels."""
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
    return found


def load(folder: Path, task: Task, backend: str = "torch") -> Predictor:
    """Open a student; UserError if it is damaged or was trained for another task or labels."""
    check(folder, task)
    return Predictor(folder, backend, "student.path")


def _load_pyfunc(path: str) -> Served:
    """Open the folder `path` as a model of MLflow, which calls this function by name."""
    return Served(Predictor(path, AUTO, "model"))


@dataclass(frozen=True)
class Served:
    """A saved student as MLflow's model."""

    predictor: Predictor

    def predict(self, frame: DataFrame, params: object = None) -> DataFrame:
        """Return `predicted` and, for labels, `probability` of texts in a column for each input."""
        from pandas import DataFrame

        columns = [frame[name].astype(str) for name in self.predictor.task.inputs]
        examples = list(zip(*columns, strict=True))
        return DataFrame(self.predictor.predict(examples), index=frame.index)
