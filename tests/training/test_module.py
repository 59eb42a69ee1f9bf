from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from omegaconf import DictConfig

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from japagen.student import pretrained
from japagen.training import embedding, identity
from japagen.training.module import Module

Compose = Callable[..., DictConfig]


def config(composed: Compose, *overrides: str) -> TrainConfig:
    return check(composed("train", "student=tiny", *overrides), TrainConfig)


def module(config: TrainConfig) -> Module:
    return Module(
        pretrained.load(config.student, config.task)[0],
        identity.of(config),
        None,
        lambda values, step: None,
    )


def test_a_saved_regression_student_uses_the_scale_of_the_task(composed: Compose) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("ids", [{5, 6, 8}, {5, 6, 7, 8}])
def test_a_checkpoint_of_other_tokens_is_refused(composed: Compose, ids: set[int]) -> None:
    one, other, same = (module(config(composed, "task=jcola")) for _ in range(3))
    for part, numbers in ((one, {5, 6, 7}), (other, ids), (same, {5, 6, 7})):
        embedding.narrow(part.model, numbers)
    same.on_load_checkpoint({"state_dict": one.state_dict()})
    with pytest.raises(UserError, match="type the same command again to train from the start"):
        other.on_load_checkpoint({"state_dict": one.state_dict()})


@pytest.mark.slow
def test_the_best_validation_score_is_resumed(composed: Compose) -> None:
    one, other = (module(config(composed, "task=jcola")) for _ in range(2))
    one.best, checkpoint = (0.4, 0.5), {"state_dict": one.state_dict()}
    one.on_save_checkpoint(checkpoint)
    other.on_load_checkpoint(checkpoint)
    assert other.best == (0.4, 0.5)
