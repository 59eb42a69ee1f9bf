"""A saved student that answers: the order of rows, padding, the choice of the backend, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from japagen.config.error import UserError
from japagen.gold.example import Example
from japagen.student import backend, exports, plain
from japagen.student.predictor import Predictor, answers, softmax
from tests.student.test_labeller import LEVELS, PAIR, TEXTS, saved


def test_answers_are_in_the_order_of_the_examples(tmp_path: Path) -> None:
    predictor = Predictor(saved(tmp_path / "s", PAIR), "torch")
    texts = [(text * (1 + n % 5), other) for n in range(7) for text, other in TEXTS]
    alone = [predictor.predict([text])[0] for text in texts]
    for size in (1, 2, 32):
        together = predictor.predict(texts, size)
        assert [one["predicted"] for one in together] == [one["predicted"] for one in alone]
        assert [one["probability"] for one in together] == pytest.approx(
            [one["probability"] for one in alone], abs=1e-4
        )
    assert predictor.predict([]) == []


def test_a_regression_gives_numbers(tmp_path: Path) -> None:
    predictor = Predictor(saved(tmp_path / "s", LEVELS, [3.9]), "torch")
    assert predictor.predict([("犬",)]) == [{"predicted": pytest.approx(3.9)}]


def test_shares_sum_to_one_for_large_logits() -> None:
    logits = np.array([[1000.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    assert softmax(logits).sum(-1) == pytest.approx([1, 1])
    found = answers(logits, PAIR)
    assert found[0] == {"predicted": "a", "probability": 1.0}
    assert found[1]["probability"] == pytest.approx(1 / 3, abs=1e-6)


def test_the_fastest_export_that_is_there_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "has_gpu", lambda: False)
    folder = saved(tmp_path / "s", PAIR)
    measured = {"onnx": {"speedup": 1.2}, "onnx_int8": {"speedup": 1.8}, "bfloat16": {"speedup": 3}}
    assert backend.fastest(folder, measured) == "torch"
    (folder / "onnx").mkdir()
    (folder / "onnx/model.onnx").touch()
    assert backend.fastest(folder, measured) == "onnx"
    (folder / "onnx/model_int8.onnx").touch()
    assert backend.fastest(folder, measured) == "onnx_int8"
    assert backend.fastest(folder, {"onnx": {"speedup": 0.5}}) == "torch"
    monkeypatch.setattr(backend, "has_gpu", lambda: True)
    assert backend.fastest(folder, measured) == "torch_gpu"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("onxn", r"backend is 'onxn'; allowed: auto, torch, .*did you mean 'onnx'"),
        ("onnx_int8", r"has no onnx/model_int8\.onnx; train\.py export=onnx_int8 writes it"),
    ],
)
def test_a_backend_that_is_not_there_is_one_message(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Predictor(saved(tmp_path / "s", PAIR), name)


def test_a_damaged_export_is_one_message(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = saved(tmp_path / "s", PAIR)
    (folder / "onnx").mkdir()
    (folder / "onnx/model.onnx").write_bytes(b"version https://git-lfs")
    with pytest.raises(UserError, match=r"model\.onnx cannot be opened; export it again: "):
        Predictor(folder, "onnx")


def test_threads_are_those_that_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert backend.cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    assert backend.cores() >= 1


@pytest.mark.slow
def test_an_export_starts_without_torch_and_transformers(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    folder = saved(tmp_path / "s", PAIR)
    rows = [Example(str(n), texts, "abc"[n]) for n, texts in enumerate(TEXTS)]
    exports.write(folder, ["onnx"], rows, rows)
    code = (
        "import sys; from japagen.student.predictor import Predictor; "
        f"found = Predictor({str(folder)!r}, 'onnx').predict({TEXTS!r}); "
        "print([one['predicted'] for one in found], {'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = [one["predicted"] for one in Predictor(folder, "torch").predict(TEXTS)]
    assert done.stdout.strip() == f"{said} set()"


def test_a_tokenizer_that_differs_without_transformers_is_not_used_so(tmp_path: Path) -> None:
    folder = saved(tmp_path / "s", PAIR)
    student = Predictor(folder, "torch")
    assert plain.equal(student, TEXTS)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    text = json.dumps({**settings, "truncation_side": "left"})
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    # No row is long enough to be cut, but the check's own one is.
    assert not plain.equal(student, TEXTS)
    assert plain.equal(Predictor(folder, "torch"), TEXTS)
    student.tokenizer.add_tokens(["走る"])
    assert not plain.equal(student, TEXTS)
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    assert not plain.equal(student, TEXTS)


def test_an_export_without_its_package_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "s", PAIR)
    (folder / "onnx").mkdir()
    (folder / "onnx/model.onnx").touch()
    monkeypatch.setattr(backend, "find_spec", lambda name: None if name == "onnxruntime" else name)
    assert backend.fastest(folder, {"onnx": {"speedup": 2.0}}) == "torch"
    with pytest.raises(UserError, match=r'onnxruntime is not installed: pip install "japagen\[onn'):
        Predictor(folder, "onnx")


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("task", "labels", ["a", "b"], "gives 3 numbers for a text; its task .* needs 2"),
        ("task", "labels", [], "is incomplete"),
        ("student", "max_length", None, "is incomplete"),
    ],
)
def test_a_card_that_does_not_fit_is_one_message(
    tmp_path: Path, part: str, key: str, value: object, message: str
) -> None:
    folder = saved(tmp_path / "s", PAIR)
    card = json.loads((folder / "japagen.json").read_text(encoding="utf-8"))
    card[part][key] = value
    (folder / "japagen.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        Predictor(folder, "torch").predict(TEXTS)


def test_a_prefix_of_null_is_none(tmp_path: Path) -> None:
    folder = saved(tmp_path / "s", PAIR)
    card = json.loads((folder / "japagen.json").read_text(encoding="utf-8"))
    before = Predictor(folder, "torch").logits(TEXTS)
    card["student"]["prefix"], card["exports"] = None, None
    (folder / "japagen.json").write_text(json.dumps(card), encoding="utf-8")
    assert np.array_equal(Predictor(folder).logits(TEXTS), before)
