from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch

from japagen.config.check import check
from japagen.config.schema import TrainConfig
from japagen.student import pretrained, tiny, tokens
from japagen.training import data, identity, split, sungen
from japagen.training.losses.cross_entropy import cross_entropy
from japagen.training.module import Module
from japagen.training.sources import TrainingRow
from tests.conftest import Compose


@pytest.fixture
def config(composed: Compose) -> TrainConfig:
    return check(
        composed(
            "train",
            "task=jcola",
            "student=tiny",
            "student.dropout=0.0",
            "loss=sungen",
            "data.batch_size=16",
        ),
        TrainConfig,
    )


def rows(number: int, wrong: int, seed: int) -> list[TrainingRow]:
    """A dog in it is acceptable, a cat is not; the first `wrong` rows say the contrary."""
    draw, labels = random.Random(seed), ["unacceptable", "acceptable"]
    words = ["赤い", "小さな", "公園の", "うちの", "かわいい", "遠くの"]
    texts = [
        f"{draw.choice(words)}{draw.choice(words)}{'猫犬'[n % 2]}がいる。" for n in range(number)
    ]
    return [
        TrainingRow(str(n), (text,), labels[n % 2 if n >= wrong else 1 - n % 2], "synthetic")
        for n, text in enumerate(texts)
    ]


def made(
    config: TrainConfig, train: list[TrainingRow], valid: list[TrainingRow]
) -> tuple[Module, data.DataModule]:
    torch.manual_seed(0)
    table = data.DataModule(
        split.Parts(train, valid, list(valid)),
        identity.of(config),
        tokens.Tokens(tiny.characters(64), config.student, None),
    )
    table.setup("fit")
    return Module(
        pretrained.load(config.student, config.task)[0],
        identity.of(config),
        None,
        lambda values, step: None,
    ), table


def test_agreement_is_the_product_of_two_gradients(config: TrainConfig) -> None:
    module, table = made(config, rows(12, 0, 0), rows(6, 0, 1))
    with sungen.steady(module):
        direction = sungen.gradient(module, sungen.moved(table.tables["valid"], 4, module))
        before = [weight.clone() for weight in module.parameters()]
        found = sungen.agreement(
            module, [*sungen.moved(table.tables["train"], 5, module)], direction
        )
        assert all(
            torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True)
        )
        for row in range(12):
            batch = table.tables["train"][[row]]
            value = cross_entropy(module(batch), batch["target"]).sum()
            own = torch.autograd.grad(value, sungen.trained(module), allow_unused=True)
            exact = sum(
                float((a * b).sum()) for a, b in zip(own, direction, strict=True) if a is not None
            )
            assert float(found[row]) == pytest.approx(exact, rel=0.05, abs=0.02)
    assert module.training


@pytest.mark.slow
def test_rows_with_a_wrong_label_come_to_weigh_less(config: TrainConfig) -> None:
    # A third of the training rows and a third of the valid rows are wrong.
    module, table = made(config, rows(60, 20, 0), rows(30, 10, 1))
    optimizer, callback = torch.optim.AdamW(module.parameters(), 1e-3), sungen.Reweight(0.2)
    trainer = SimpleNamespace(datamodule=table)
    for epoch in range(12):
        for places in torch.randperm(60, generator=torch.Generator().manual_seed(epoch)).split(12):
            batch = table.tables["train"][places.tolist()]
            optimizer.zero_grad()
            module.batch_loss(module(batch), batch).backward()
            optimizer.step()
        callback.on_train_epoch_end(trainer, module)  # type: ignore[arg-type]
    weights = table.tables["train"].extra["weight"]
    assert callback.weights is weights
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert float(weights[:20].mean()) < float(weights[20:].mean()) - 0.3


def test_a_training_that_goes_on_has_its_weights(config: TrainConfig) -> None:
    module, table = made(config, rows(9, 0, 0), rows(4, 0, 1))
    trainer, callback = SimpleNamespace(datamodule=table), sungen.Reweight(0.2)
    callback.on_train_start(trainer, module)  # type: ignore[arg-type]
    assert table.tables["train"].extra["weight"].tolist() == [sungen.START] * 9
    callback.load_state_dict({"weights": torch.full([9], 0.25)})
    callback.on_train_start(trainer, module)  # type: ignore[arg-type]
    assert table.tables["train"].extra["weight"].tolist() == [0.25] * 9
    assert callback.state_dict()["weights"].tolist() == [0.25] * 9


@pytest.mark.slow
def test_only_sungen_reweights(config: TrainConfig, composed: Compose) -> None:
    assert [
        type(callback)
        for callback in made(config, rows(9, 0, 0), rows(4, 0, 1))[0].configure_callbacks()
    ] == [sungen.Reweight]
    plain = check(composed("train", "task=jcola", "student=tiny"), TrainConfig)
    module, table = made(plain, rows(9, 0, 0), rows(4, 0, 1))
    assert module.configure_callbacks() == []
    assert table.tables["train"].extra == {}
