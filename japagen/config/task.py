"""The YAML of a task, as dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from omegaconf import MISSING

from japagen.config.limit import limited


@dataclass
class Wording:
    """The texts of a prompt. `turns`: an instruction per input; `{label}` is the label's text."""

    system: str = MISSING
    turns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Knowledge:
    """What `prompt=knowledge` adds: `sentence` with a slot value, other label texts, or both.

    `turns`, `labels`: replace the same keys of the task's wording.
    `label_values`: label -> its own slot values, in place of `values`, for tasks whose labels are
    topics (class-dependent attributes, Yu et al. 2023, arXiv 2306.15895).
    """

    slot: str = ""
    sentence: str = ""
    values: list[str] = field(default_factory=list)
    label_values: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    turns: dict[str, str] = field(default_factory=dict)

    def of(self, label: str) -> list[str]:
        """Return the slot values of a label."""
        return self.label_values.get(label, self.values)


@dataclass
class Question:
    """The question for an LLM that answers the task itself, and a text for each label.

    `answers`: the word that stands for each label in a reply. Without them, labels are answered by
    number and levels by their value.
    """

    system: str = "あなたは日本語の文章を注意深く読んで分類する専門家です。"
    asked: str = MISSING
    labels: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)


@dataclass
class Clean:
    """Which replies are accepted. Lengths in characters, ratios from 0 to 1.

    `lines`, `sentences`: what comes after so many is cut off; `sentences: null` cuts none.
    """

    min_chars: int = limited(5, least=0)
    max_chars: int = limited(100, least=1)
    min_japanese: float = limited(0.6, least=0, most=1)
    near_duplicate: float = limited(0.9, least=0, most=1)
    lines: int = limited(1, least=1)
    sentences: int | None = limited(None, least=1)
    same_allowed: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)


@dataclass
class Gold:
    """Where gold rows are and how to read them (docs/add_a_task.md).

    Of `train`, `dev` and `test` the first file that exists is read, relative to `gold_dir`.
    `columns`: input, label, id or split -> name or position (from 1) of its column.
    `labels`, `splits`: value in the file -> label of the task, or train, dev, test; null drops
    the rows.
    `header`, `quoting`: null decides by the file. `sha256`: of the files in `urls`, when known.
    """

    format: str = "jsonl"
    train: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    dev: list[str] = field(default_factory=list)
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
    """A text task: `kind` classification or regression (labels are then numbers as text)."""

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
