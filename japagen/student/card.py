"""japagen.json: how a saved student reads its texts, and which task it was trained for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.task import Task

if TYPE_CHECKING:
    pass

CARD = "japagen.json"


def card(folder: Path, task: Task) -> dict[str, Any]:
    """How the student in `folder` reads its texts; UserError where there is none, or one of another task."""
    try:
        saved = json.loads((folder / "japagen.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"filter.student={folder} is no folder that train.py saved ({error}); its folders are students/NAME"
        ) from error
    for key in ("kind", "inputs", "labels"):
        if saved["task"][key] != getattr(task, key):
            found, asked = saved["task"][key], getattr(task, key)
            raise UserError(
                f"filter.student={folder} was trained for {key} {found}, task {task.name} has {asked}: give a student of this task"
            )
    options: dict[str, Any] = saved["student"]
    return options
