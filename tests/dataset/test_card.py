"""The dataset card: its header is read by `datasets`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.config.task import Task
from japagen.dataset import identity, parquet
from japagen.dataset.card import card
from tests.conftest import Compose

LABELS = ['良い: "はい"', "no", "'1'", "# x"]


def folder_of(composed: Compose, place: Path, task: Task, labels: list[Any]) -> tuple[str, Path]:
    """A folder with a table of these labels and its card, and the card's text."""
    made = identity.of(check(composed("generate", "task=jcola"), GenerateConfig))
    rows = [{"id": str(n), "sentence": "文```", "label": label} for n, label in enumerate(labels)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (place / "train.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    parquet.write(place, task)
    manifest = {"accepted": len(rows), "replies": 9, "rejected": {}}
    text = card(replace(made, task=task), manifest, lines)
    (place / "README.md").write_text(text, encoding="utf-8")
    return text, place


def test_labels_are_classes_whatever_their_names(composed: Compose, tmp_path: Path) -> None:
    task = Task(name="t", inputs=["sentence"], labels=LABELS)
    (tmp_path / "data").mkdir()
    text, place = folder_of(composed, tmp_path / "data", task, LABELS)
    found = datasets.load_dataset(str(place), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.features["label"].names == LABELS
    assert found["label"] == [0, 1, 2, 3]
    header = yaml.safe_load(text.split("---")[1])
    assert header["size_categories"] == ["n<1K"]
    assert text.count("```") == 4  # of the two code blocks


def test_the_label_of_a_regression_is_a_number(composed: Compose, tmp_path: Path) -> None:
    task = Task(name="t", inputs=["sentence"], labels=["0", "5"], kind="regression")
    (tmp_path / "data").mkdir()
    text, place = folder_of(composed, tmp_path / "data", task, ["0", "5"])
    found = datasets.load_dataset(str(place), split="train", cache_dir=str(tmp_path / "cache"))
    assert found["label"] == [0.0, 5.0]
    assert "sentence-similarity" in text


@pytest.mark.parametrize(
    ("number", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (2_000_000, "1M<n<10M")]
)
def test_the_size_category(composed: Compose, number: int, size: str) -> None:
    made = identity.of(check(composed("generate", "task=jcola"), GenerateConfig))
    text = card(made, {"accepted": number, "replies": number, "rejected": {}}, [])
    assert f"size_categories: [{size}]" in text
