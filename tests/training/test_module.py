from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import Student, TrainConfig
from japagen.config.task import Task
from japagen.student import pretrained
from japagen.training import layers
from japagen.training.module import Module, freeze, groups, name, rate

Compose = Callable[..., DictConfig]
TASK = Task(name="t", inputs=["sentence"], labels=["a", "b", "c"])


def config(composed: Compose, *overrides: str) -> TrainConfig:
    return check(composed("train", "student=tiny", *overrides), TrainConfig)


def module(config: TrainConfig) -> Module:
    return Module(
        pretrained.load(config.student, config.task)[0], config, None, lambda values, step: None
    )


def test_the_name_changes_with_whatever_changes_the_student(composed: Compose) -> None:
    overrides = [
        "student.learning_rate=0.5",
        "data.valid=0.2",
        "loss.class_weights=true",
        "trainer.patience=9",
        "+llm.sampling.top_p=0.1",
    ]
    names = [
        name(config(composed, "task=jcola", *extra))
        for extra in ([], [], *([override] for override in overrides))
    ]
    assert names[0] == names[1]
    assert names[0].startswith("jcola-tiny-fake-zero_shot-0shot-16-seed0-")
    assert len(set(names)) == 1 + len(overrides)
    assert name(config(composed, "task=jcola", "data=gold")).startswith("jcola-tiny-gold-seed0-")
    assert name(config(composed, "task=jcola", "data=few_gold", "data.shots=5")).startswith(
        "jcola-tiny-5gold-seed0-"
    )
    mixed = name(config(composed, "task=jcola", "data=mixed"))
    assert mixed.startswith("jcola-tiny-fake-zero_shot-0shot-16-gold-seed0-")
    assert name(config(composed, "task=jcola", "data=mixed", "data.order=synthetic_first")) != mixed


def test_a_saved_regression_student_speaks_the_tasks_scale(composed: Compose) -> None:
    one = module(config(composed, "task=jsts")).eval()
    batch = {
        "input_ids": torch.randint(4, 100, (3, 9)),
        "target": torch.zeros(3),
        "row": torch.arange(3),
    }
    before = torch.tensor([row["predicted"] for row in one.read(one(batch))])
    after = one.finished()(input_ids=batch["input_ids"]).logits.squeeze(-1)
    assert torch.allclose(before, after, atol=1e-5)
    assert (before.mean() - 2.5).abs() < 1


def test_labels_are_read_with_their_probability(composed: Compose) -> None:
    rows = module(config(composed, "task=jnli")).read(
        torch.tensor([[0.0, 9.0, 0.0], [1.0, 0.0, 0.0]])
    )
    assert [row["predicted"] for row in rows] == ["contradiction", "entailment"]
    assert rows[1]["probability"] == pytest.approx(0.5761, abs=1e-4)


def test_only_matrices_decay() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    plain, decayed = groups(model, Student(name="x", pretrained="x", weight_decay=0.1))
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert [tuple(weight.shape) for weight in decayed["params"]] == [(3, 2)]
    assert len(plain["params"]) == 3


def test_lower_layers_learn_more_slowly_and_embeddings_can_be_frozen() -> None:
    model = pretrained.load(Student(name="tiny", pretrained="random:tiny"), TASK).model
    rates: dict[str, float] = {}
    names = {id(weight): name for name, weight in model.named_parameters()}
    for group in groups(
        model, Student(name="x", pretrained="x", learning_rate=1.0, layer_decay=0.5)
    ):
        rates |= {names[id(weight)]: group["lr"] for weight in group["params"]}
    assert len(rates) == len(names)
    assert rates["classifier.weight"] == rates["bert.pooler.dense.bias"] == 1.0
    assert rates["bert.encoder.layer.1.output.dense.weight"] == 0.5
    assert rates["bert.encoder.layer.0.attention.self.query.weight"] == 0.25
    assert (
        rates["bert.embeddings.word_embeddings.weight"]
        == rates["bert.embeddings.LayerNorm.bias"]
        == 0.125
    )
    freeze(model, Student(name="x", pretrained="x", freeze_embeddings=True))
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert frozen
    assert all(name.startswith("bert.embeddings.") for name in frozen)


def test_a_fresh_copy_differs_with_the_seed_where_no_file_had_values() -> None:
    loaded = pretrained.load(Student(name="tiny", pretrained="random:tiny"), TASK)
    copies = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        copies.append(
            loaded._replace(new=frozenset({"classifier.weight", "classifier.bias"}))
            .fresh()
            .state_dict()
        )
    assert torch.equal(copies[0]["classifier.weight"], copies[1]["classifier.weight"])
    assert not torch.equal(copies[0]["classifier.weight"], copies[2]["classifier.weight"])
    word = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(copies[0][word], copies[2][word])
    assert torch.equal(copies[0][word], loaded.model.state_dict()[word])


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [rate(step, "linear", 10, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[100] == 0.0
    cosine = [rate(step, "cosine", 10, 100) for step in range(101)]
    assert cosine[55] == pytest.approx(0.5)
    assert cosine[100] == 0.0
    assert [rate(step, "constant", 10, 100) for step in (0, 9, 100)] == [0.1, 1.0, 1.0]


@pytest.mark.parametrize("ids", [{5, 6, 8}, {5, 6, 7, 8}])
def test_a_checkpoint_of_other_tokens_is_refused(composed: Compose, ids: set[int]) -> None:
    one, other, same = (module(config(composed, "task=jcola")) for _ in range(3))
    for part, numbers in ((one, {5, 6, 7}), (other, ids), (same, {5, 6, 7})):
        layers.narrow(part.model, numbers)
    same.on_load_checkpoint({"state_dict": one.state_dict()})
    with pytest.raises(UserError, match="the same command trains anew"):
        other.on_load_checkpoint({"state_dict": one.state_dict()})
