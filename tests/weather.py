"""A user-defined task `weather`, its gold files, and the marker of tests on real gold data."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from japagen.config import schema
from japagen.config.error import UserError
from japagen.config.task import Gold, Task
from japagen.gold import example, fetch, load

DATA = os.environ.get("JAPAGEN_DATA") or ""
real = pytest.mark.skipif(not DATA, reason="requires real gold data: set JAPAGEN_DATA")
SUN, RAIN = (
    {"sentence": "今日は一日中よく晴れています。", "label": "hare"},
    {"sentence": "朝から雨が降っています。", "label": "ame"},
)


def shipped(name: str) -> Task:
    """A task of conf/task/."""
    task = OmegaConf.to_object(
        OmegaConf.merge(
            OmegaConf.structured(Task), OmegaConf.load(schema.CONF / f"task/{name}.yaml")
        )
    )
    assert isinstance(task, Task)
    return task


def weather(source: Gold | None, **changes: object) -> Task:
    """A user-defined task with one input and two labels."""
    fields = {
        "name": "weather",
        "inputs": ["sentence"],
        "labels": ["hare", "ame"],
        "gold": source,
    } | changes
    return Task(**fields)  # type: ignore[arg-type]


def user_gold(format: str = "jsonl", **changes: object) -> Gold:
    """The `gold` section of that task."""
    return Gold(
        **({"format": format, "train": [f"train.{format}"], "test": [f"test.{format}"]} | changes)
    )  # type: ignore[arg-type]


def write(path: Path, content: str | bytes) -> Path:
    """Write a file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows: object) -> str:
    """`rows` as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rejected(task: Task, folder: Path, split: example.Split = "train") -> str:
    """The error message for an invalid gold file. Fails if the file was not found at all."""
    with pytest.raises(UserError) as caught:
        load.load(task, split, str(folder))
    assert not isinstance(caught.value, fetch.GoldMissing)
    return str(caught.value)
