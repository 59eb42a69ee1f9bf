"""Labels for texts by a saved student."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from japagen.config.error import UserError
from japagen.config.schema import CONF
from japagen.config.task import Task
from japagen.student import head, tiny
from japagen.student.labeller import Labeller

PAIR = Task(name="pair", inputs=["one", "two"], labels=["a", "b", "c"])
LEVELS = Task(
    name="levels", kind="regression", inputs=["text"], metric="spearman", labels=["0", "2", "5"]
)
TEXTS = [("赤い犬", "走る"), ("とても長い文がここにある", "猫"), ("海", "山と川")]


def saved(folder: Path, task: Task, biases: Sequence[float] | None = None, **student: str) -> Path:
    """A student of two random layers, with fixed logits if `biases` are given."""
    torch.manual_seed(0)
    model, tokenizer = tiny.tiny(32, **head.outputs(task))
    if biases is not None:
        layer = head.last_layer(model)
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor(biases))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    about = {key: getattr(task, key) for key in ("name", "kind", "inputs", "metric", "labels")}
    card = {"task": about, "student": {"max_length": 32, **student}}
    (folder / "japagen.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def test_a_label_comes_with_its_probabilities(tmp_path: Path) -> None:
    labeller = Labeller(saved(tmp_path / "s", PAIR, [0.0, 2.0, 1.0]), PAIR, "filter.student")
    (label,) = labeller.label(TEXTS[:1])
    assert label.number == 1
    assert label.probabilities == pytest.approx((0.0900, 0.6652, 0.2447), abs=1e-4)


def test_a_score_becomes_the_nearest_level(tmp_path: Path) -> None:
    labeller = Labeller(saved(tmp_path / "s", LEVELS, [3.9]), LEVELS, "filter.student")
    assert labeller.label([("犬",), ("猫",)]) == [(2, ()), (2, ())]


def test_batches_give_the_same_labels_as_single_examples(tmp_path: Path) -> None:
    labeller = Labeller(saved(tmp_path / "s", PAIR), PAIR, "filter.student")
    alone = labeller.label(TEXTS)
    assert alone == labeller.label(TEXTS)
    assert [one.number for one in alone] == [one.number for one in labeller.label(TEXTS, 2)]
    for one, other in zip(alone, labeller.label(TEXTS, batch_size=3), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    assert labeller.label([]) == []


def test_the_prefix_of_the_training_is_used(tmp_path: Path) -> None:
    plain = Labeller(saved(tmp_path / "a", PAIR), PAIR, "x").label([("問:犬", "猫")])
    assert (
        Labeller(saved(tmp_path / "b", PAIR, prefix="問:"), PAIR, "x").label([("犬", "猫")])
        == plain
    )


def test_a_student_of_another_task_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "s", PAIR)
    other = Task(name="other", inputs=["one", "two"], labels=["a", "b"])
    with pytest.raises(UserError, match=r"filter\.student=.* trained for labels \['a', 'b', 'c'\]"):
        Labeller(folder, other, "filter.student")


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"task": {}, "student": {}}', "{", "1"])
def test_an_unusable_card_is_one_message(tmp_path: Path, content: str | None) -> None:
    folder = saved(tmp_path / "s", PAIR)
    (folder / "japagen.json").unlink()
    if content is not None:
        (folder / "japagen.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"filter\.student=.*japagen\.json.*students/NAME"):
        Labeller(folder, PAIR, "filter.student")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_damaged_file_is_one_message(tmp_path: Path, name: str, content: bytes) -> None:
    folder = saved(tmp_path / "s", PAIR)
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=r"filter\.student=.*this student cannot be opened"):
        Labeller(folder, PAIR, "filter.student")


def test_weights_that_lack_a_layer_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = saved(tmp_path / "s", PAIR)
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"weights lack 1 parameters, e\.g\. classifier\.weight"):
        Labeller(folder, PAIR, "filter.student")


def test_importing_the_labeller_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; import japagen.student.labeller; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CONF.parent, check=False, timeout=60)
    assert done.returncode == 0
