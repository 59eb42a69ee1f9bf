"""What the YAML of a task says, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from omegaconf import MISSING


@dataclass
class Wording:
    """What the LLM is told. `turns` has one instruction an input, in order; `{label}` stands for the label's text."""

    system: str = MISSING
    turns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Knowledge:
    """What `prompt=knowledge` adds: a slot value told with `sentence`, other label texts, or both."""

    slot: str = ""
    sentence: str = ""
    values: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Question:
    """What an LLM is asked that is to answer the task itself: `asked` about the texts, and a text for each label to choose from.

    `answers`: the word that stands for each label in a reply; without them labels are answered by number, levels by themselves.
    """

    system: str = "あなたは日本語の文章を注意深く読んで分類する専門家です。"
    asked: str = MISSING
    labels: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)


@dataclass
class Clean:
    """Which replies are kept. Lengths in characters, ratios from 0 to 1.

    `lines`, `sentences`: what comes after so many is cut off; `sentences: null` cuts none.
    """

    min_chars: int = 5
    max_chars: int = 100
    min_japanese: float = 0.6
    near_duplicate: float = 0.9
    lines: int = 1
    sentences: int | None = None
    same_allowed: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)


@dataclass
class Gold:
    """Where gold rows are and how to read them (docs/add_a_task.md).

    Of `train`, `dev` and `test` the first file that exists is read, relative to `gold_dir`.
    `columns`: input, label, id or split -> name or position (from 1) of its column.
    `labels`, `splits`: value in the file -> label of the task, or train, dev, test; null drops rows.
    `header`, `quoting`: null decides by the file. `sha256`: of the files in `urls`, when known.
    """

    format: str = "jsonl"
    train: list[str] = field(default_factory=list)
    dev: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    header: bool | None = None
    quoting: bool | None = None
    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, Optional[str]] = field(default_factory=dict)  # noqa: UP045
    splits: dict[str, Optional[str]] = field(default_factory=dict)  # noqa: UP045
    urls: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    how: str = ""


@dataclass
class Task:
    """A text task: `kind` classification or regression (labels are then numbers written as text)."""

    name: str = MISSING
    kind: str = "classification"
    inputs: list[str] = MISSING
    metric: str = "accuracy"
    labels: list[str] = MISSING
    wording: Wording = field(default_factory=Wording)
    knowledge: Knowledge | None = None
    question: Question | None = None
    clean: Clean = field(default_factory=Clean)
    gold: Gold | None = None
