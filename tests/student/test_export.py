from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from japagen.command import train
from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student import export, pretrained
from tests.conftest import Compose
from tests.toys import FAST, saved, sentences

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="needs onnx and onnxruntime"
)


@pytest.mark.parametrize("task", ["jcola", pytest.param("jsts", marks=pytest.mark.slow)])
def test_the_onnx_file_gives_the_students_answers(
    composed: Compose, gold_dir: Path, recorded: dict[str, float], task: str
) -> None:
    import onnxruntime
    from transformers import AutoTokenizer, pipeline

    train.run(
        composed("train", f"task={task}", "data=gold", f"gold_dir={gold_dir}", "export=onnx", *FAST)
    )
    assert recorded["onnx/same_labels"] == 1.0
    assert recorded["onnx/largest_difference"] < 1e-3
    assert recorded["onnx/examples_per_second"] > 0
    texts = [text for text, _ in sentences(5, 3)]
    pairs = [texts] if task == "jcola" else [texts, ["犬。"] * 5]
    columns = AutoTokenizer.from_pretrained(saved())(*pairs, padding=True, return_tensors="np")
    session = onnxruntime.InferenceSession(str(saved() / "model.onnx"))
    logits = session.run(
        ["logits"], {name: column.astype("int64") for name, column in columns.items()}
    )[0]
    opened = pipeline("text-classification", str(saved()), function_to_apply="none")
    asked = (
        [{"text": text} for text in texts]
        if task == "jcola"
        else [{"text": text, "text_pair": "犬。"} for text in texts]
    )
    assert [found["score"] for found in opened(asked)] == pytest.approx(
        logits.max(-1).tolist(), abs=1e-3
    )


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "model.onnx"
    path.touch()
    with pytest.raises(UserError, match="was not kept: it gives other answers"):
        export.agreement([np.array([[0.1, 0.9]])], [np.array([[0.9, 0.1]])], path)
    assert not path.exists()


def test_a_missing_package_is_named() -> None:
    with pytest.raises(UserError, match=r'needs the package nowhere: pip install -e ".\[onnx\]"'):
        export.needed("nowhere")


@pytest.mark.parametrize("texts", [["犬" * 99], ["犬" * 99, "猫"], ["猫", "犬" * 99, "鳥" * 40]])
def test_rows_that_fill_all_positions_are_exported(tmp_path: Path, texts: list[str]) -> None:
    student = Student(name="tiny", pretrained="random:tiny", max_length=24)
    model, tokenizer, _ = pretrained.load(student, Task(name="t", inputs=["s"], labels=["a", "b"]))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    rows = [Example(str(n), (text,), "a") for n, text in enumerate(texts)]
    assert export.onnx(tmp_path, student, rows)["onnx/same_labels"] == 1.0
