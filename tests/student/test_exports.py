"""Exports of a saved student: the same answers by another engine, or not kept."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from japagen.command import train
from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student import backend, exports, pretrained
from japagen.student.exports import onnx, openvino_int8
from japagen.student.exports.source import Source
from japagen.student.predictor import Predictor
from tests.conftest import Compose
from tests.student.test_labeller import LEVELS, PAIR, TEXTS, saved
from tests.toys import FAST
from tests.toys import saved as trained

HERE = {
    name
    for name, (packages, _) in exports.PACKAGES.items()
    if all(importlib.util.find_spec(package) for package in packages)
}
ROWS = [Example(str(n), texts, "abc"[n % 3]) for n, texts in enumerate(TEXTS * 4)]


def needs(name: str) -> Any:
    """The export `name` as a parameter, skipped where its packages are not installed."""
    marks = [pytest.mark.slow] if name == "openvino_int8" else []
    skip = pytest.mark.skipif(name not in HERE, reason=f"needs the packages of export={name}")
    return pytest.param(name, marks=[*marks, skip])


@pytest.mark.slow
@pytest.mark.parametrize("name", [needs(name) for name in exports.PACKAGES])
@pytest.mark.parametrize("task", [PAIR, LEVELS], ids=["labels", "levels"])
def test_an_export_gives_the_students_answers(tmp_path: Path, name: str, task: Task) -> None:
    folder = saved(tmp_path / "s", task)
    rows = ROWS if task is PAIR else [Example(r.id, r.texts[:1], "2") for r in ROWS]
    (made,) = exports.write(folder, [name], rows, rows)
    assert made.problem == ""
    texts = [row.texts for row in rows]
    ours, theirs = (Predictor(folder, one).logits(texts) for one in (name, "torch"))
    near = {"onnx": 1e-5, "bfloat16": 0.05}.get(name, 0.25)
    assert np.abs(ours - theirs).max() < near
    if name not in ("onnx", "bfloat16"):
        assert np.abs(ours - theirs).max() > 0  # it has fewer bits
    measured = json.loads((folder / "japagen.json").read_text(encoding="utf-8"))["exports"][name]
    assert measured == pytest.approx(dict(made.measured))
    assert measured["megabytes"] > 0
    assert backend.available(folder) == [*dict.fromkeys(["torch", name])]


@pytest.mark.slow
@pytest.mark.skipif("onnx" not in HERE, reason="needs onnx and onnxruntime")
@pytest.mark.parametrize("name", ["onnx", "onnx_int8"])
def test_rows_that_fill_all_positions_are_exported(tmp_path: Path, name: str) -> None:
    student = Student(name="tiny", pretrained="random:tiny", max_length=24)
    model, tokenizer, _ = pretrained.load(student, PAIR)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    about = {key: getattr(PAIR, key) for key in ("name", "kind", "inputs", "labels")}
    (tmp_path / "japagen.json").write_text(
        json.dumps({"task": about, "student": {"max_length": 24}}), encoding="utf-8"
    )
    texts = [("犬" * 99, "猫" * 9), ("犬" * 99, "鳥" * 40), ("猫", "犬")]
    rows = [Example(str(n), text, "a") for n, text in enumerate(texts)]
    (made,) = exports.write(tmp_path, [name], rows, rows)
    assert made.problem == ""


@pytest.mark.slow
@pytest.mark.skipif("onnx" not in HERE, reason="needs onnx and onnxruntime")
def test_attention_is_fused(tmp_path: Path) -> None:
    import onnx as format

    folder = saved(tmp_path / "s", PAIR)
    exports.write(folder, ["onnx"], ROWS, ROWS)
    kinds = [node.op_type for node in format.load(str(folder / "onnx/model.onnx")).graph.node]
    assert kinds.count("Attention") == 2  # the tiny student's layers
    assert "Softmax" not in kinds


@pytest.mark.skipif("onnx" not in HERE, reason="needs onnx and onnxruntime")
def test_a_graph_that_cannot_be_fused_is_exported_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "s", PAIR)

    def refuse(source: Source) -> None:
        raise RuntimeError("unknown architecture")

    monkeypatch.setattr(onnx, "fused", refuse)
    (made,) = exports.write(folder, ["onnx"], ROWS, ROWS)
    assert made.problem == ""
    assert made.measured["same_labels"] == 1


def test_what_answers_otherwise_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "s", PAIR, [0.0, 2.0, 1.0])
    other = Predictor(saved(tmp_path / "other", PAIR, [3.0, 2.0, 1.0]), "torch").backend
    monkeypatch.setattr(exports, "open_backend", lambda *_: other)
    rows = [Example(str(n), texts, "b") for n, texts in enumerate(TEXTS)]
    before = sorted(path.name for path in folder.iterdir())
    (made,) = exports.write(folder, ["bfloat16"], rows, rows)
    assert made.problem == "its score 0.0000 is 1.0000 below the student's"
    assert sorted(path.name for path in folder.iterdir()) == before
    (line,) = exports.lines([made])
    assert line.startswith("export=bfloat16 was not kept: its score")
    assert json.loads((folder / "japagen.json").read_text(encoding="utf-8"))["exports"] == {}
    exact = dict(made.measured, score=1.0, same_labels=0.99, largest_difference=0.0)
    assert "gives other answers" in exports.difference("onnx", exact)
    assert exports.difference("onnx_int8", exact) == ""


def test_an_exporter_that_fails_leaves_the_student_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from japagen.student.exports import bfloat16

    def fail(source: Source, path: Path) -> None:
        path.write_text("half", encoding="utf-8")
        raise RuntimeError("\nunsupported operator\nmore")

    monkeypatch.setattr(bfloat16, "write", fail)
    folder = saved(tmp_path / "s", PAIR)
    before = sorted(path.name for path in folder.iterdir())
    (made,) = exports.write(folder, ["bfloat16"], ROWS, ROWS)
    assert made.problem == "RuntimeError: unsupported operator"
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
@pytest.mark.skipif("openvino_int8" not in HERE, reason="needs openvino and nncf")
def test_an_export_leaves_the_jobs_log_as_it_was(tmp_path: Path) -> None:
    handler = logging.StreamHandler()
    root = logging.getLogger()
    root.addHandler(handler)
    before = [(one, one.level) for one in (root, *root.handlers)]
    try:
        exports.write(saved(tmp_path / "s", PAIR), sorted(HERE), ROWS, ROWS)
        assert [(one, one.level) for one in (root, *root.handlers)] == before
    finally:
        root.removeHandler(handler)


def test_openvino_reports_its_use_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    monkeypatch.delenv("NNCF_CI", raising=False)
    with openvino_int8.no_telemetry():
        assert (os.environ["CI"], os.environ["NNCF_CI"]) == ("true", "1")
    assert os.environ["CI"] == "false"
    assert "NNCF_CI" not in os.environ


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exports.PACKAGES, "onnx", (("nowhere",), "onnx"))
    with pytest.raises(
        UserError, match=r'export=onnx needs the package nowhere.*"japagen\[onnx\]"'
    ):
        exports.check_packages(["onnx"])


@pytest.mark.skipif("onnx" not in HERE, reason="needs onnx and onnxruntime")
@pytest.mark.slow
@pytest.mark.parametrize("task", ["jcola", "jsts"])
def test_training_writes_exports_that_open_without_japagen(
    composed: Compose, gold_dir: Path, recorded: dict[str, float], tmp_path: Path, task: str
) -> None:
    names = [name for name in exports.PACKAGES if name in HERE and name != "openvino_int8"]
    if task == "jsts":
        names = sorted(HERE)
    words = [f"task={task}", "data=gold", f"gold_dir={gold_dir}", f"export=[{','.join(names)}]"]
    train.run(composed("train", *words, *FAST))
    for name in names:
        assert recorded[f"export/{name}/same_labels"] > 0.9
        assert recorded[f"export/{name}/megabytes"] > 0
    page = (trained() / "README.md").read_text(encoding="utf-8")
    for name in names:
        assert f"| {name} | `{backend.BACKENDS[name].file}` |" in page
    codes = [
        code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "batch" in code
    ]
    assert len(codes) == len(names)
    plain = {**os.environ, "PYTHONPATH": ""}
    for code in codes:
        assert "japagen" not in code
        command = [sys.executable, "-c", code.replace("FOLDER", str(trained().absolute()))]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=plain,
        )
        assert done.returncode == 0, done.stderr
        assert re.search(r"acceptable|\[[\d.]+", done.stdout)


@pytest.mark.skipif("onnx" not in HERE, reason="needs onnx and onnxruntime")
def test_the_embedding_has_a_scale_for_each_row() -> None:
    from japagen.student.exports import onnx_int8

    draw = np.random.default_rng(0)
    table = draw.normal(size=(50, 8)).astype(np.float32)
    table[0] *= 1000  # one scale for all would leave the other rows nothing
    bits, scales = onnx_int8.by_row(table)
    assert bits.dtype == np.int8
    assert np.abs(bits * scales - table).max(1) == pytest.approx(0, abs=float(scales.max()) / 2)
    assert np.abs(bits[1:] * scales[1:] - table[1:]).max() < 0.02


@pytest.mark.slow
@pytest.mark.skipif("onnx" not in HERE, reason="needs onnx and onnxruntime")
def test_the_last_layer_and_the_head_keep_their_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx as format

    from japagen.student.exports import onnx_int8

    monkeypatch.setattr(onnx_int8, "EMBEDDING", 5)  # the tiny student knows few tokens
    folder = saved(tmp_path / "s", PAIR)
    (made,) = exports.write(folder, ["onnx_int8"], ROWS, ROWS)
    assert made.problem == ""
    graph = format.load(str(folder / "onnx/model_int8.onnx")).graph
    products = [node for node in graph.node if node.op_type in ("MatMul", "MatMulInteger")]
    layers = {
        kind: {
            found.group(1)
            for node in products
            if node.op_type == kind and (found := onnx_int8.LAYER.search(node.name))
        }
        for kind in ("MatMul", "MatMulInteger")
    }
    assert "0" in layers["MatMulInteger"]
    assert "1" not in layers["MatMulInteger"]
    words = [one for one in graph.initializer if one.name.endswith("_bits")]
    assert words
    assert all(one.data_type == format.TensorProto.INT8 for one in words)
    assert onnx_int8.near_the_answer(["a", "b"]) == []


def test_looking_for_packages_imports_none() -> None:
    """NNCF decides at its import whether it reports its use; the import must be the exporter's."""
    code = (
        "import sys; from japagen.student import exports; "
        f"exports.check_packages({sorted(HERE)!r}); "
        "print({'nncf', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.skipif("openvino_int8" not in HERE, reason="needs openvino and nncf")
def test_nncf_reports_nothing_in_a_real_process(tmp_path: Path) -> None:
    code = """
import sys
from japagen.student import exports
exports.check_packages(["openvino_int8"])
from japagen.student.exports.openvino_int8 import no_telemetry
with no_telemetry():
    import nncf.telemetry
print(type(nncf.telemetry.telemetry).__name__)
"""
    plain = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain
    )
    assert "Mock" in done.stdout


def test_an_engine_that_fails_ends_in_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "s", PAIR)

    class Broken:
        def logits(self, batch: Any) -> Any:
            raise RuntimeError("shape mismatch")

    monkeypatch.setattr(exports, "open_backend", lambda *_: Broken())
    (folder / "bfloat16").mkdir()
    (folder / "bfloat16/model.safetensors").write_bytes(b"of an earlier job")
    (made,) = exports.write(folder, ["bfloat16"], ROWS, ROWS)
    assert made.problem == "RuntimeError: shape mismatch"
    assert not (folder / "bfloat16/model.safetensors").exists()
    # A sweep that is repeated does not train again for it.
    assert exports.complete(folder, ["bfloat16"])
    assert not exports.complete(folder, ["bfloat16", "onnx"])


def test_answers_that_are_no_numbers_are_not_kept() -> None:
    theirs, ours = np.array([[1.0, 0.0, 0.0]]), np.full((1, 3), np.nan)
    measured = exports.compared([Example("0", ("a", "b"), "a")], theirs, ours, PAIR)
    for name in exports.PACKAGES:
        assert exports.difference(name, measured) == "some of its answers are not numbers"
