"""A student trained before verifies what is generated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.config.task import Task
from japagen.dataset import identity, journal, table
from japagen.student import head, tiny
from japagen.synthesis.verification import StudentVerifier
from tests.conftest import Compose
from tests.weather import shipped


def saved(folder: Path, task: Task, biases: Sequence[float], prefix: str = "") -> str:
    """A student that gives every example the same logits, as train.py saves it."""
    model, tokenizer = tiny.tiny(64, **head.outputs(task))
    layer = head.last_layer(model)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor(biases))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card = {
        "task": {key: getattr(task, key) for key in ("name", "kind", "inputs", "labels")},
        "student": {"max_length": 64, "prefix": prefix},
    }
    (folder / "japagen.json").write_text(json.dumps(card), encoding="utf-8")
    return str(folder)


@pytest.mark.slow
def test_a_student_verifies_and_its_probabilities_are_kept(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved(tmp_path / "student-1a2b", shipped("jnli"), [2.0, 0.0, 1.0])
    limits = ["max_attempts=2", "max_shortfall=1.0", "num_per_label=4", "filter.min_confirmed=0"]
    cfg = composed("generate", "filter=verified", f"filter.student={folder}", *limits)
    generate.run(cfg)
    config = check(cfg, GenerateConfig)
    examples = list(table.read(identity.of(config)))
    assert {example.label for example in examples} == {"entailment"}
    manifest = table.read_manifest(identity.of(config).folder)
    assert manifest is not None
    assert manifest["verified"] == {"entailment": 1.0, "contradiction": 0.0, "neutral": 0.0}
    assert manifest["verify_tokens"] == 0
    assert manifest["verify_seconds"] > 0
    assert manifest["identity"]["filter"]["student"] == "student-1a2b"
    assert "labels confirmed: entailment 1.00" in capsys.readouterr().out
    soft = [
        json.loads(line)
        for line in (identity.of(config).folder / table.SOFT)
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    assert [row["id"] for row in soft] == [example.id for example in examples]
    assert all(
        row["probabilities"] == pytest.approx([0.665, 0.090, 0.245], abs=0.001) for row in soft
    )
    assert not list(identity.of(config).folder.glob("*.part"))


@pytest.mark.slow
def test_an_interrupted_verification_ends_with_the_same_bytes(
    composed: Compose, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "student", shipped("jcola"), [0.0, 1.0])
    limits = ["max_attempts=3", "max_shortfall=1.0", "num_per_label=4", "llm.concurrency=1"]
    cfg = composed("generate", "task=jcola", "filter=verified", f"filter.student={folder}", *limits)
    generate.run(cfg)
    path = identity.of(check(cfg, GenerateConfig)).folder
    whole = {name: (path / name).read_bytes() for name in (table.TABLE, table.SOFT)}
    lines = (path / journal.JOURNAL).read_bytes().splitlines(keepends=True)
    for cut in (1, 4, len(lines) - 1):
        (path / table.MANIFEST).unlink()
        (path / journal.JOURNAL).write_bytes(b"".join(lines[:cut]))
        generate.run(cfg)
        assert {name: (path / name).read_bytes() for name in whole} == whole


def test_a_regression_student_gives_the_nearest_level(tmp_path: Path) -> None:
    task = shipped("jsts")
    student = StudentVerifier(saved(tmp_path, task, [3.6]), task)
    found = asyncio.run(student.verify(["犬がいる。", "猫がいる。"]))
    student.close()
    levels = [float(label) for label in task.labels]
    assert min(abs(level - 3.6) for level in levels) == pytest.approx(abs(float(found.label) - 3.6))
    assert found.probabilities == ()


def test_without_verification_there_is_no_soft_file_and_no_other_name(composed: Compose) -> None:
    cfg = composed("generate", "num_per_label=2")
    generate.run(cfg)
    config = check(cfg, GenerateConfig)
    assert not (identity.of(config).folder / table.SOFT).exists()
    assert "student" not in identity.of(config).identity["filter"]
    assert "verified" not in (table.read_manifest(identity.of(config).folder) or {})


@pytest.mark.slow
def test_a_student_that_cannot_judge_is_named(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"filter\.student=.*/none is no folder that train\.py saved"
    ):
        generate.run(composed("generate", "filter=verified", f"filter.student={tmp_path}/none"))
    other = saved(tmp_path / "other", shipped("jcola"), [0.0, 1.0])
    with pytest.raises(UserError, match=r"was trained for inputs \['sentence'\], task jnli has"):
        generate.run(composed("generate", "filter=verified", f"filter.student={other}"))
    with pytest.raises(UserError, match="add filter=verified"):
        check(composed("generate", f"filter.student={other}"), GenerateConfig)
    (tmp_path / "other" / "config.json").unlink()
    with pytest.raises(UserError, match=r"filter\.student=.* cannot be opened"):
        StudentVerifier(other, shipped("jcola"))
