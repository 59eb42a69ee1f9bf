"""Prompt files in the published JSON format, as the wording of a task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from japagen.config.error import UserError, did_you_mean
from japagen.config.task import Knowledge, Task, Wording

SLOTS = ("genre", "object")
SLOT = "{slot}"


def read(path: str, task: Task) -> Task:
    """`task` with the wording of the file at `path`.

    The file: `content` (the system message), `first instruction` (sentence 1 of a pair; absent for single sentences),
    `labels.<id>.instruction`, and optionally a list `genre` or `object` whose quoted name, as in "object", stands in
    the texts where each of its values goes. Ids are the task's labels, or 0, 1, 2 ... in their order.
    """
    data = load(path)
    slot = next((name for name in SLOTS if name in data), "")
    labels = label_texts(data, task, path)
    texts = (
        [text(data, "first instruction", path), "{label}"] if len(task.inputs) > 1 else ["{label}"]
    )
    turns = dict(zip(task.inputs, texts, strict=True))
    wording = Wording(text(data, "content", path), turns, labels)
    if not slot:
        return dataclasses.replace(task, wording=wording, knowledge=None)
    knowledge = Knowledge(slot=slot, values=[str(value) for value in data[slot]])
    return dataclasses.replace(task, wording=with_slot(wording, slot), knowledge=knowledge)


def load(path: str) -> dict[str, Any]:
    """The JSON object in the file, or UserError with the place of the fault."""
    file = Path(path).expanduser()
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"prompt.path={path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"prompt.path={path} cannot be read as JSON in UTF-8: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("labels"), dict):
        raise UserError(
            f"prompt.path={path} is not in the published format: an object with `content` and `labels` is needed"
        )
    return data


def text(data: Mapping[str, Any], key: str, path: str) -> str:
    """A text of the file."""
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(
            f"prompt.path={path} has no text under `{key}`{did_you_mean(key, data)}; its keys: {', '.join(data)}"
        )
    return escape(value)


def label_texts(data: Mapping[str, Any], task: Task, path: str) -> dict[str, str]:
    """The instruction of each label of the task."""
    texts = {}
    for number, label in enumerate(task.labels):
        entry = data["labels"].get(label, data["labels"].get(str(number)))
        if not isinstance(entry, dict) or not isinstance(entry.get("instruction"), str):
            ids = ", ".join(data["labels"])
            raise UserError(
                f"prompt.path={path} has no `labels.{label}.instruction` (nor `labels.{number}.instruction`); its ids: {ids}"
            )
        texts[label] = entry["instruction"]
    return texts


def escape(value: str) -> str:
    """Braces of the file's own text must not be taken for our placeholders."""
    return value.replace("{label}", "{ label }").replace(SLOT, "{ slot }")


def with_slot(wording: Wording, name: str) -> Wording:
    """The wording with `"name"` turned into our placeholder."""
    put = {key: value.replace(f'"{name}"', SLOT) for key, value in wording.turns.items()}
    labels = {key: value.replace(f'"{name}"', SLOT) for key, value in wording.labels.items()}
    return Wording(wording.system.replace(f'"{name}"', SLOT), put, labels)
