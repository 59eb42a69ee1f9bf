from __future__ import annotations

import pytest
import torch

from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.student import pretrained
from japagen.training.optimizer import freeze, groups, schedule

TASK = Task(name="t", inputs=["sentence"], labels=["a", "b", "c"])


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


def rates(steps: int, **options: str | float) -> list[float]:
    """The learning rate of each step, of a highest rate of 1."""
    student = Student(name="x", learning_rate=1.0, **options)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = schedule(optimizer, student, steps), []
    for _ in range(steps + 1):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


def test_the_learning_rate_rises_over_the_warm_up_then_falls_to_0() -> None:
    linear = rates(100, schedule="linear", warmup=0.1)
    assert linear[5] == pytest.approx(0.5)
    assert linear[10] == max(linear) == 1.0
    assert linear[55] == pytest.approx(0.5)
    assert linear[100] == 0.0
    cosine = rates(100, schedule="cosine", warmup=0.1)
    assert cosine[55] == pytest.approx(0.5)
    assert cosine[100] == pytest.approx(0.0)
    assert rates(100, schedule="constant", warmup=0.1)[10:] == [1.0] * 91
    assert rates(10, schedule="constant", warmup=0.0) == [1.0] * 11
