from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

from japagen import student, tiny
from japagen.check import check
from japagen.config import Student, Task, TrainConfig, UserError

Compose = Callable[..., DictConfig]


def config(composed: Compose, *overrides: str) -> TrainConfig:
    return check(composed("train", "student=tiny", *overrides), TrainConfig)


def module(config: TrainConfig) -> student.Module:
    return student.Module(student.load(config.student, config.task)[0], config, None, lambda values, step: None)  # noqa: ARG005


def test_the_tiny_tokenizer_knows_japanese_and_ascii_characters() -> None:
    tokenizer = tiny.characters(16)
    assert len(tokenizer) > 6800
    ids = tokenizer("漢字かなカナ、ABC１２")["input_ids"]
    assert ids[0] == 2
    assert ids[-1] == 3
    assert 1 not in ids
    assert len(ids) == 14
    assert tokenizer("😀")["input_ids"] == [2, 1, 3]


def test_the_head_follows_the_task(composed: Compose) -> None:
    news = config(composed, "task=news")
    model, _ = student.load(news.student, news.task)
    assert model.config.id2label == dict(enumerate(news.task.labels))
    assert student.last_layer(model).out_features == 9
    jsts = config(composed, "task=jsts")
    model, _ = student.load(jsts.student, jsts.task)
    assert model.config.problem_type == "regression"
    assert student.last_layer(model).out_features == 1


def test_the_same_seed_gives_the_same_tiny_student(composed: Compose) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        task = config(composed, "task=jcola")
        weights.append(student.last_layer(student.load(task.student, task.task)[0]).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_dropout_is_the_models_own_unless_given(composed: Compose) -> None:
    model, _ = student.load(config(composed, "task=jcola").student, config(composed, "task=jcola").task)
    assert model.config.hidden_dropout_prob == 0.1
    without = config(composed, "task=jcola", "student.dropout=0.0")
    assert student.load(without.student, without.task)[0].config.hidden_dropout_prob == 0.0


def test_the_name_changes_with_whatever_changes_the_student(composed: Compose) -> None:
    overrides = ["student.learning_rate=0.5", "data.valid=0.2", "loss.class_weights=true", "trainer.patience=9", "+llm.sampling.top_p=0.1"]
    names = [student.name(config(composed, "task=jcola", *extra)) for extra in ([], [], *([override] for override in overrides))]
    assert names[0] == names[1]
    assert names[0].startswith("jcola-tiny-fake-zero_shot-0shot-16-seed0-")
    assert len(set(names)) == 1 + len(overrides)
    assert student.name(config(composed, "task=jcola", "data=gold")).startswith("jcola-tiny-gold-seed0-")


def test_a_saved_regression_student_speaks_the_tasks_scale(composed: Compose) -> None:
    one = module(config(composed, "task=jsts")).eval()
    batch = {"input_ids": torch.randint(4, 100, (3, 9)), "target": torch.zeros(3), "row": torch.arange(3)}
    before = torch.tensor([row["predicted"] for row in one.read(one(batch))])
    after = one.finished()(input_ids=batch["input_ids"]).logits.squeeze(-1)
    assert torch.allclose(before, after, atol=1e-5)
    assert (before.mean() - 2.5).abs() < 1


def test_labels_are_read_with_their_probability(composed: Compose) -> None:
    rows = module(config(composed, "task=jnli")).read(torch.tensor([[0.0, 9.0, 0.0], [1.0, 0.0, 0.0]]))
    assert [row["predicted"] for row in rows] == ["contradiction", "entailment"]
    assert rows[1]["probability"] == pytest.approx(0.5761, abs=1e-4)


def test_only_matrices_decay() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    decayed, plain = student.groups(model, 0.1)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert [tuple(weight.shape) for weight in decayed["params"]] == [(3, 2)]
    assert len(plain["params"]) == 3


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [student.warm_then_fall(step, 10, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[100] == 0.0


TASK = Task(name="t", inputs=["sentence"], labels=["a", "b"])


def test_an_unknown_random_student_is_an_error() -> None:
    with pytest.raises(UserError, match="the only random student is random:tiny"):
        student.load(Student(name="x", pretrained="random:huge"), TASK)


def test_a_folder_that_is_no_model_says_what_works(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"student=x: '.*' .* cannot be loaded[\s\S]*student=e5_small_ja needs no hub"):
        student.load(Student(name="x", pretrained=str(tmp_path)), TASK)


def test_a_missing_mecab_is_named() -> None:
    text = student.cannot_load(Student(name="x", pretrained="tohoku-nlp/x"), ImportError("You need to install fugashi to use it"))
    assert 'pip install "japagen[mecab]"' in text


def test_max_length_beyond_the_models_positions_is_an_error(tmp_path: Path) -> None:
    model, tokenizer = student.load(Student(name="x", pretrained="random:tiny", max_length=32), TASK)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"student.max_length is 64; .* takes 32 tokens at most"):
        student.load(Student(name="x", pretrained=str(tmp_path), max_length=64), TASK)


@pytest.mark.slow
def test_the_embedded_student_gets_a_head() -> None:
    model, tokenizer = student.load(Student(name="e5_small_ja", pretrained="embedded:e5_small_ja"), TASK)
    assert model.dtype == torch.float32
    assert tokenizer.model_max_length == 128
    assert model(**tokenizer("犬が公園を走っている。", return_tensors="pt")).logits.shape == (1, 2)
