from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from transformers import AutoModelForSequenceClassification, RobertaConfig

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import Student, TrainConfig
from japagen.config.task import Task
from japagen.student import pretrained

Compose = Callable[..., DictConfig]


def config(composed: Compose, *overrides: str) -> TrainConfig:
    return check(composed("train", "student=tiny", *overrides), TrainConfig)


def test_the_tiny_tokenizer_knows_japanese_and_ascii_characters() -> None:
    tokenizer = pretrained.characters(16)
    assert len(tokenizer) > 6800
    ids = tokenizer("漢字かなカナ、ABC１２")["input_ids"]
    assert ids[0] == 2
    assert ids[-1] == 3
    assert 1 not in ids
    assert len(ids) == 14
    assert tokenizer("😀")["input_ids"] == [2, 1, 3]


def test_the_head_follows_the_task(composed: Compose) -> None:
    news = config(composed, "task=news")
    model, *_ = pretrained.load(news.student, news.task)
    assert model.config.id2label == dict(enumerate(news.task.labels))
    assert pretrained.last_layer(model).out_features == 9
    jsts = config(composed, "task=jsts")
    model, *_ = pretrained.load(jsts.student, jsts.task)
    assert model.config.problem_type == "regression"
    assert pretrained.last_layer(model).out_features == 1


def test_the_same_seed_gives_the_same_tiny_student(composed: Compose) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        task = config(composed, "task=jcola")
        weights.append(pretrained.last_layer(pretrained.load(task.student, task.task)[0]).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_dropout_is_the_models_own_unless_given(composed: Compose) -> None:
    model, *_ = pretrained.load(
        config(composed, "task=jcola").student, config(composed, "task=jcola").task
    )
    assert model.config.hidden_dropout_prob == 0.1
    without = config(composed, "task=jcola", "student.dropout=0.0")
    assert pretrained.load(without.student, without.task)[0].config.hidden_dropout_prob == 0.0


TASK = Task(name="t", inputs=["sentence"], labels=["a", "b"])


def test_an_unknown_random_student_is_an_error() -> None:
    with pytest.raises(UserError, match="the only random student is random:tiny"):
        pretrained.load(Student(name="x", pretrained="random:huge"), TASK)


def test_a_folder_that_is_no_model_says_what_works(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"student=x: cannot load '/[\s\S]*student=e5_small_ja needs no hub"
    ):
        pretrained.load(Student(name="x", pretrained=str(tmp_path)), TASK)


def test_a_hub_that_does_not_answer_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "offline", lambda model: True)
    with pytest.raises(
        UserError, match="cannot load 'nobody/nothing', no folder here, from the Hugging Face hub"
    ):
        pretrained.load(Student(name="x", pretrained="nobody/nothing"), TASK)


def test_a_missing_mecab_is_named() -> None:
    text = pretrained.cannot_load(
        Student(name="x", pretrained="tohoku-nlp/x"),
        ImportError("You need to install fugashi to use it"),
    )
    assert 'pip install -e ".[mecab]"' in text


def test_max_length_beyond_the_models_positions_is_an_error(tmp_path: Path) -> None:
    model, tokenizer, _ = pretrained.load(
        Student(name="x", pretrained="random:tiny", max_length=32), TASK
    )
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"student.max_length is 64; .* takes 32 tokens at most"):
        pretrained.load(Student(name="x", pretrained=str(tmp_path), max_length=64), TASK)


@pytest.mark.slow
def test_the_embedded_student_gets_a_head() -> None:
    model, tokenizer, _ = pretrained.load(
        Student(name="e5_small_ja", pretrained="embedded:e5_small_ja"), TASK
    )
    assert model.dtype == torch.float32
    assert tokenizer.model_max_length == 128
    assert model(**tokenizer("犬が公園を走っている。", return_tensors="pt")).logits.shape == (1, 2)


def test_mean_pooling_of_a_bert_opens_with_transformers(tmp_path: Path) -> None:
    model, tokenizer, _ = pretrained.load(
        Student(name="x", pretrained="random:tiny", max_length=32), TASK
    )
    model.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    pooled = pretrained.load(
        Student(name="x", pretrained=str(tmp_path / "plain"), max_length=32, pooling="mean"), TASK
    ).model.eval()
    pooled.save_pretrained(tmp_path / "pooled")
    opened = AutoModelForSequenceClassification.from_pretrained(tmp_path / "pooled").eval()
    batch = tokenizer(["犬がいる。", "猫と犬が公園にいる。"], padding=True, return_tensors="pt")
    with torch.no_grad():
        states = pooled.bert(**batch, output_hidden_states=True).hidden_states
        assert torch.allclose(opened(**batch).logits, pooled(**batch).logits, atol=1e-6)
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = (states[-2] * mask).sum(1) / mask.sum(1)
    wanted = torch.nn.functional.layer_norm(states[-2][:, 0] + pretrained.MEAN * mean, (64,))
    assert torch.allclose(states[-1][:, 0], wanted, atol=1e-2)
    copies = []
    for seed in (1, 2, 1):  # each in what would be another process
        loaded = pretrained.load(
            Student(name="x", pretrained=str(tmp_path / "plain"), max_length=32, pooling="mean"),
            TASK,
        )
        torch.manual_seed(seed)
        copies.append(loaded.fresh().state_dict())
    assert all(torch.equal(copies[0][name], copies[2][name]) for name in copies[0])
    random = "bert.encoder.layer.2.intermediate.dense.weight"
    assert not torch.equal(copies[0][random], copies[1][random])
    assert torch.equal(copies[0]["bert.encoder.layer.2.output.dense.weight"], torch.zeros(64, 128))


def test_a_head_that_pools_in_one_way_says_so(tmp_path: Path) -> None:
    config = RobertaConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="head of roberta models pools in one way only"):
        pretrained.load(Student(name="x", pretrained=str(tmp_path), pooling="mean"), TASK)
