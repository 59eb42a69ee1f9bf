"""Read japagen.json, the card of a saved student: its task, and how it reads texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.config.task import Task

CARD = "japagen.json"
FIELDS = ("kind", "inputs", "labels")  # of the task: what a student must share with its user


def read(folder: Path, task: Task, option: str) -> dict[str, Any]:
    """Return the card of the student in `folder`, which must fit `task`.

    `option` is what the user typed, e.g. "filter.student"; it begins every error message.
    Raises UserError if there is no readable card, or if the student was trained for other
    inputs, labels or another kind of task.
    """
    found = parse(folder, option)
    for key in FIELDS:
        trained, asked = found["task"][key], getattr(task, key)
        if trained != asked:
            raise UserError(
                f"{option}={folder} was trained for {key} {trained}, task {task.name} has {asked}: "
                f"give a student of this task, or type task={found['task'].get('name', 'NAME')}"
            )
    return found


def parse(folder: Path, option: str) -> dict[str, Any]:
    """Return the card in `folder`; raise UserError if it is absent, unreadable or incomplete."""
    path = folder / CARD
    help_text = "Give the folder of a student as train.py printed it (students/NAME)"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        complete = all(found["task"].get(key) for key in FIELDS)
        complete = complete and isinstance(found["student"].get("max_length"), int)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{option}={folder} is no folder that train.py saved: {path} cannot be read "
            f"({type(error).__name__}: {error}). {help_text}"
        ) from error
    if not complete:
        raise UserError(
            f"{option}={folder}: {path} is incomplete; it needs task.kind, task.inputs, "
            f"task.labels and student.max_length. {help_text}"
        )
    return dict(found)
