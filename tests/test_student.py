from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig

from japagen import pretrained, student
from japagen.check import check
from japagen.config import TrainConfig

Compose = Callable[..., DictConfig]


def config(composed: Compose, *overrides: str) -> TrainConfig:
    return check(composed("train", "student=tiny", *overrides), TrainConfig)


def module(config: TrainConfig) -> student.Module:
    return student.Module(pretrained.load(config.student, config.task)[0], config, None, lambda values, step: None)


def test_the_name_changes_with_whatever_changes_the_student(composed: Compose) -> None:
    overrides = ["student.learning_rate=0.5", "data.valid=0.2", "loss.class_weights=true", "trainer.patience=9", "+llm.sampling.top_p=0.1"]
    names = [student.name(config(composed, "task=jcola", *extra)) for extra in ([], [], *([override] for override in overrides))]
    assert names[0] == names[1]
    assert names[0].startswith("jcola-tiny-fake-zero_shot-0shot-16-seed0-")
    assert len(set(names)) == 1 + len(overrides)
    assert student.name(config(composed, "task=jcola", "data=gold")).startswith("jcola-tiny-gold-seed0-")
    assert student.name(config(composed, "task=jcola", "data=few_gold", "data.shots=5")).startswith("jcola-tiny-5gold-seed0-")
    mixed = student.name(config(composed, "task=jcola", "data=mixed"))
    assert mixed.startswith("jcola-tiny-fake-zero_shot-0shot-16-gold-seed0-")
    assert student.name(config(composed, "task=jcola", "data=mixed", "data.order=synthetic_first")) != mixed


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
