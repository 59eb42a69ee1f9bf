"""A user-defined task from one YAML file outside the repository: generation and training."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from japagen.config.schema import CONF

ROOT = CONF.parent


def yaml_of_the_document() -> str:
    """The first YAML block of docs/add_a_task.md."""
    found = re.search(
        r"```yaml\n(.*?)```",
        (ROOT / "docs" / "add_a_task.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert found is not None
    return found.group(1)


def type_in(folder: Path, *words: str) -> str:
    """Run a command in `folder` and return its output."""
    environment = {**os.environ, "JAPAGEN_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_task_of_the_documentation(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "task").mkdir(parents=True)
    (mine / "task" / "weather.yaml").write_text(yaml_of_the_document(), encoding="utf-8")
    words = [
        "--config-dir",
        str(mine),
        "task=weather",
        "llm=fake",
        "num_per_label=12",
        "logger=none",
    ]

    output = type_in(tmp_path, str(ROOT / "generate.py"), *words)
    (table,) = (tmp_path / "synthetic" / "weather").rglob("train.jsonl")
    rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    assert (
        [row["label"] for row in rows].count("sunny")
        == [row["label"] for row in rows].count("rainy")
        == 12
    )
    assert "24 examples" in output

    steps = ["trainer.max_steps=4", "trainer.min_steps=1"]
    output = type_in(tmp_path, str(ROOT / "train.py"), *words, "student=tiny", *steps)
    assert "NOT on gold" in output
    (student,) = (tmp_path / "students").iterdir()
    assert json.loads((student / "config.json").read_text(encoding="utf-8"))["id2label"] == {
        "0": "sunny",
        "1": "rainy",
    }
