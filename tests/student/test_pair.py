"""A student that encodes the two texts of a pair apart."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.student import exports, head, layers, pair, pretrained, tiny, trim
from japagen.student.predictor import Predictor

TASK = Task(name="t", inputs=["a", "b"], labels=["x", "y", "z"])
LEVELS = Task(name="s", kind="regression", inputs=["a", "b"], labels=["0", "5"], metric="spearman")
TEXTS = [
    ("犬が公園を走る。", "公園を猫が走る。"),
    ("猫", "赤い傘をさした人が道を歩いている。"),
    ("", "犬"),
    ("鳥が飛ぶ。", ""),
]
LENGTH = 32
# Between the texts BERT has one separator, XLM-R two.
SEPARATED = {"one": "[CLS] $A [SEP] $B:1 [SEP]:1", "two": "[CLS] $A [SEP] [SEP] $B:1 [SEP]:1"}


def tokenizer_with(form: str) -> Any:
    from tokenizers import processors

    found: Any = tiny.characters(LENGTH)
    found.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=SEPARATED[form],
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return found


def encoder(folder: Path, kind: str = "BertConfig") -> Student:
    """A random encoder of an architecture in `folder`, as an option of a student."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    roles = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2}
    tokenizer: Any = tiny.characters(LENGTH)
    if kind != "BertConfig":
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = getattr(transformers, kind)(
        vocab_size=len(tokenizer), intermediate_size=64, **sizes, **roles, eos_token_id=3
    )
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Student(name="x", pretrained=str(folder), max_length=LENGTH)


def wrapped(student: Student, task: Task = TASK) -> tuple[pair.Pair, Any]:
    model, tokenizer, _ = pretrained.load(student, task)
    torch.manual_seed(0)
    return pair.wrap(model, tokenizer, student).eval(), tokenizer


@pytest.mark.parametrize("form", SEPARATED)
def test_both_texts_are_encoded_as_if_each_was_alone(tmp_path: Path, form: str) -> None:
    model, _ = wrapped(encoder(tmp_path))
    tokenizer = tokenizer_with(form)
    batch = tokenizer(*map(list, zip(*TEXTS, strict=True)), padding=True, return_tensors="pt")
    found = pair.apart(batch["input_ids"], batch["attention_mask"], tokenizer.sep_token_id)
    for place, (ids, mask) in enumerate(found):
        alone = tokenizer([texts[place] for texts in TEXTS], padding=True, return_tensors="pt")
        for row, texts in enumerate(TEXTS):
            length = int(alone["attention_mask"][row].sum())
            mine = ids[row][mask[row].bool()].tolist()
            wanted = alone["input_ids"][row, :length].tolist()
            # Of an empty second text, BERT's form keeps no separator of its own.
            assert mine == wanted or (not texts[place] and mine == wanted[:1])
        with torch.no_grad():
            ours = pair.vectors(model.encoder(ids, mask).last_hidden_state, mask)
            states = model.encoder(alone["input_ids"], alone["attention_mask"]).last_hidden_state
        theirs = pair.vectors(states, alone["attention_mask"])
        assert torch.allclose(ours[:2], theirs[:2], atol=1e-5)


def test_overlap_counts_the_tokens_of_each_text_that_the_other_has() -> None:
    tokenizer: Any = tiny.characters(LENGTH)
    batch = tokenizer(["あいう", "あ"], ["いうえか", "い"], padding=True, return_tensors="pt")
    texts = pair.apart(batch["input_ids"], batch["attention_mask"], tokenizer.sep_token_id)
    found = pair.overlap(*texts[0], *texts[1])
    assert found.shape == (2, pair.MEASURES - 1)
    # い and う are 2 of 3 and 2 of 4; いう is 1 of 2 neighbouring pairs and 1 of 3.
    assert found[0].tolist() == pytest.approx([2 / 3, 2 / 4, 1 / 2, 1 / 3, 3 / 7])
    assert found[1].tolist() == pytest.approx([0, 0, 0, 0, 1 / 2])


def test_padding_and_the_order_of_rows_change_nothing(tmp_path: Path) -> None:
    model, tokenizer = wrapped(encoder(tmp_path))
    with torch.no_grad():
        together = model(
            **tokenizer(*map(list, zip(*TEXTS, strict=True)), padding=True, return_tensors="pt")
        ).logits
        single = [model(**tokenizer(*texts, return_tensors="pt")).logits[0] for texts in TEXTS]
    assert torch.allclose(together, torch.stack(single), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", [TASK, LEVELS], ids=["labels", "levels"])
@pytest.mark.parametrize(
    "kind", ["BertConfig", "RobertaConfig", "ModernBertConfig", "DebertaV2Config"]
)
def test_a_saved_one_opens_again_with_the_same_answers(
    tmp_path: Path, kind: str, task: Task
) -> None:
    student = encoder(tmp_path / "encoder", kind)
    model, tokenizer = wrapped(student, task)
    model.save_pretrained(tmp_path / "saved")
    opened = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    batch = tokenizer(*TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        assert torch.allclose(opened.eval()(**batch).logits, model(**batch).logits, atol=1e-6)
    assert opened.config.num_labels == (1 if task is LEVELS else 3)
    assert opened.config.id2label == model.config.id2label
    halves: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "saved", dtype=torch.bfloat16
    )
    assert {weight.dtype for weight in halves.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        assert halves.eval()(**batch).logits.shape == model(**batch).logits.shape


def test_the_layer_that_pools_the_mean_is_not_encoded_with(tmp_path: Path) -> None:
    student = encoder(tmp_path)
    plain, _ = wrapped(student)
    pooled, tokenizer = wrapped(replace(student, pooling="mean"))
    assert pooled.encoder.config.num_hidden_layers == len(pooled.encoder.encoder.layer) == 2
    batch = tokenizer(*TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(plain(**batch).logits, pooled(**batch).logits)


def test_every_weight_learns(tmp_path: Path) -> None:
    """Processes that train together wait for gradients of all of them."""
    model, tokenizer = wrapped(encoder(tmp_path))
    batch = tokenizer(*map(list, zip(*TEXTS, strict=True)), padding=True, return_tensors="pt")
    model(**batch).logits.square().sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("trimmed", [False, True])
def test_the_encoder_keeps_its_weights(tmp_path: Path, trimmed: bool) -> None:
    student = encoder(tmp_path)
    model, tokenizer, _ = pretrained.load(student, TASK)
    if trimmed:  # a new embedding of fewer tokens
        trim.shrink(model, list(range(100)))
    before = {name: weight.clone() for name, weight in layers.encoder(model).named_parameters()}
    after = dict(pair.wrap(model, tokenizer, student).encoder.named_parameters())
    assert after.keys() <= before.keys()
    assert all(torch.equal(before[name], weight) for name, weight in after.items())


def test_a_student_whose_texts_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    student = encoder(tmp_path)
    model, tokenizer, _ = pretrained.load(student, TASK)
    for change, said in (
        ({"prefix": "query: "}, 'student.prefix=""'),
        ({"pooling": "cls"}, "student.pooling=mean"),
    ):
        with pytest.raises(UserError, match=f"{said}; or type student.pairs=cross_encoder"):
            pair.wrap(model, tokenizer, replace(student, **change))
    other = tokenizer_with("two")
    assert pair.splits(other)
    for separator in (None, "[UNK]"):
        other.sep_token = separator
        with pytest.raises(UserError, match="does not put its separator between texts"):
            pair.wrap(model, other, student)


def test_a_layer_that_does_not_pool_is_kept() -> None:
    student = Student(name="tiny", pretrained="random:tiny", max_length=LENGTH, pooling="mean")
    model, _ = wrapped(student)
    assert len(model.encoder.encoder.layer) == 2  # type: ignore[union-attr, arg-type]


def test_padding_is_on_the_right(tmp_path: Path) -> None:
    student = encoder(tmp_path)
    model, tokenizer, _ = pretrained.load(student, TASK)
    tokenizer.padding_side = "left"
    pair.wrap(model, tokenizer, student)
    assert tokenizer.padding_side == "right"


def test_the_last_layer_is_the_head(tmp_path: Path) -> None:
    for task in (TASK, LEVELS):
        model, _ = wrapped(encoder(tmp_path / task.name), task)
        assert head.last_layer(model) is model.classifier


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("onnxruntime"), reason="needs onnxruntime")
@pytest.mark.parametrize("name", ["onnx", "onnx_int8", "openvino_int8", "bfloat16"])
def test_an_export_gives_its_answers(tmp_path: Path, name: str) -> None:
    model, tokenizer = wrapped(encoder(tmp_path / "encoder"))
    folder = tmp_path / "saved"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    about = {key: getattr(TASK, key) for key in ("name", "kind", "inputs", "labels")}
    (folder / "japagen.json").write_text(
        json.dumps({"task": about, "student": {"max_length": LENGTH}}), encoding="utf-8"
    )
    long = ("犬" * 99, "猫" * 40)
    rows = [Example(str(n), texts, "xyz"[n % 3]) for n, texts in enumerate([*TEXTS * 4, long])]
    (made,) = exports.write(folder, [name], rows, rows)
    assert made.problem == ""
    texts = [row.texts for row in rows]
    ours, theirs = (Predictor(folder, one).logits(texts) for one in (name, "torch"))
    assert np.abs(ours - theirs).max() < {"onnx": 1e-4}.get(name, 0.1)
