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

    The file has `content` (the system message), `first instruction` (sentence 1 of a pair; absent
    for single sentences), `labels.<id>.instruction`, and optionally a list `genre` or `object`:
    its quoted name in the texts, as in "object", is replaced by each of its values. The ids are
    the task's labels, or 0, 1, 2 ... in the order of the labels.
    """
    data = load(path)
    slot = next((name for name in SLOTS if name in data), "")
    labels = label_texts(data, task, path)
    texts = ["{label}"]
    if len(task.inputs) > 1:
        texts.insert(0, text(data, "first instruction", path))
    turns = dict(zip(task.inputs, texts, strict=True))
    wording = Wording(text(data, "content", path), turns, labels)
    if not slot:
        return dataclasses.replace(task, wording=wording, knowledge=None)
    knowledge = Knowledge(slot=slot, values=slot_values(data, slot, path))
    return dataclasses.replace(task, wording=with_slot(wording, slot), knowledge=knowledge)


def load(path: str) -> dict[str, Any]:
    """The JSON object in the file, or UserError with the place of the fault."""
    file = Path(path).expanduser()
    try:
        content = file.read_text(encoding="utf-8")
        data = json.loads(content)
    except FileNotFoundError:
        raise UserError(f"prompt.path={path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"prompt.path={path} cannot be read as JSON in UTF-8: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("labels"), dict):
        raise UserError(
            f"prompt.path={path} is not in the published format; it must be an object with "
            "`content` and `labels`"
        )
    if "${" in content:
        raise UserError(
            f"prompt.path={path} contains ${{, which marks a reference to another option; "
            "allowed: plain text. Write the dollar sign and the brace apart, e.g. $ {"
        )
    return data


def text(data: Mapping[str, Any], key: str, path: str) -> str:
    """A text of the file."""
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(
            f"prompt.path={path} has no text under `{key}`{did_you_mean(key, data)}; "
            f"its keys: {', '.join(data)}"
        )
    return escape(value)


def label_texts(data: Mapping[str, Any], task: Task, path: str) -> dict[str, str]:
    """The instruction of each label of the task."""
    texts = {}
    for number, label in enumerate(task.labels):
        entry = data["labels"].get(label, data["labels"].get(str(number)))
        if not isinstance(entry, dict) or not isinstance(entry.get("instruction"), str):
            raise UserError(
                f"prompt.path={path} has no `labels.{label}.instruction` (nor "
                f"`labels.{number}.instruction`); its ids: {', '.join(data['labels'])}"
            )
        texts[label] = entry["instruction"]
    return texts


def slot_values(data: Mapping[str, Any], slot: str, path: str) -> list[str]:
    """The values that replace the slot."""
    values = data[slot]
    if not isinstance(values, list) or not all(isinstance(value, str | int) for value in values):
        raise UserError(f"prompt.path={path}: `{slot}` must be a list of texts, e.g. [犬, 猫]")
    return [str(value) for value in values]


def escape(value: str) -> str:
    """Keep braces in the file's text from being read as placeholders."""
    return value.replace("{label}", "{ label }").replace(SLOT, "{ slot }")


def with_slot(wording: Wording, name: str) -> Wording:
    """The wording with `"name"` replaced by our placeholder."""
    turns = {key: value.replace(f'"{name}"', SLOT) for key, value in wording.turns.items()}
    labels = {key: value.replace(f'"{name}"', SLOT) for key, value in wording.labels.items()}
    return Wording(wording.system.replace(f'"{name}"', SLOT), turns, labels)
