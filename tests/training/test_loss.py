from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from japagen.config.choice import LOSSES
from japagen.config.schema import Loss
from japagen.training import loss

# Probabilities of 1/2, 1/4, 1/4 for the three labels, in each of two rows.
LOGITS = torch.tensor([[2.0, 1.0, 1.0]]).log().repeat(2, 1)
TARGETS = torch.tensor([0, 1])


def of(name: str, **options: float) -> list[float]:
    """The loss of both rows."""
    function = loss.choose(Loss(name, **options), "classification")  # type: ignore[arg-type]
    return function(LOGITS, TARGETS).tolist()


def test_every_allowed_loss_is_there_and_auto_is_the_kinds_first() -> None:
    for name, kind in LOSSES.items():
        assert callable(loss.choose(Loss(name), kind))
    assert loss.choose(Loss("auto"), "classification") is loss.cross_entropy
    assert loss.choose(Loss("auto"), "regression") is loss.mse


def test_cross_entropy_is_the_log_of_the_targets_share() -> None:
    for name in ("cross_entropy", "soft", "sungen"):
        assert of(name) == pytest.approx([math.log(2), math.log(4)])


def test_cross_entropy_takes_probabilities() -> None:
    soft = loss.cross_entropy(LOGITS, torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]))
    assert soft.tolist() == pytest.approx([0.5 * math.log(2) + 0.5 * math.log(4), math.log(4)])


def test_label_smoothing_shares_epsilon_out() -> None:
    # 0.7 + 0.1 of the first row's target is left to it, 0.1 goes to each other label.
    assert of("label_smoothing", epsilon=0.3)[0] == pytest.approx(
        0.8 * math.log(2) + 0.2 * math.log(4)
    )
    assert of("label_smoothing", epsilon=0.0) == pytest.approx(of("cross_entropy"))


def test_generalized_ce_lies_between_cross_entropy_and_absolute_error() -> None:
    assert of("generalized_ce", q=0.5) == pytest.approx(
        [(1 - 0.5**0.5) / 0.5, (1 - 0.25**0.5) / 0.5]
    )
    assert of("generalized_ce", q=1.0) == pytest.approx([0.5, 0.75])
    assert of("generalized_ce", q=1e-6) == pytest.approx(of("cross_entropy"), abs=1e-4)


def test_symmetric_ce_is_both_ways() -> None:
    assert of("symmetric_ce", alpha=0.0, beta=1.0) == pytest.approx([2.0, 3.0])
    assert of("symmetric_ce", alpha=0.1, beta=0.5) == pytest.approx(
        [0.1 * math.log(2) + 1.0, 0.1 * math.log(4) + 1.5]
    )
    assert of("symmetric_ce", alpha=1.0, beta=0.0) == pytest.approx(of("cross_entropy"))


@pytest.mark.parametrize("name", ["generalized_ce", "symmetric_ce"])
def test_a_hopeless_row_has_a_loss_and_a_gradient_that_are_numbers(name: str) -> None:
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    value = loss.choose(Loss(name), "classification")(logits, torch.tensor([0])).sum()
    value.backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(logits.grad).all())


def test_errors_of_scores() -> None:
    scores, targets = torch.tensor([[0.5], [1.0]]), torch.tensor([0.0, 0.9])
    assert loss.mse(scores, targets).tolist() == pytest.approx([0.25, 0.01])
    assert loss.huber(scores, targets, delta=0.2).tolist() == pytest.approx(
        [0.2 * (0.5 - 0.1), 0.005]
    )
    assert loss.huber(scores, targets, delta=9.0).tolist() == pytest.approx([0.125, 0.005])


def test_a_mean_heeds_the_weights_of_labels_and_rows() -> None:
    losses, targets, labels = (
        torch.tensor([1.0, 2.0, 4.0]),
        torch.tensor([0, 1, 1]),
        torch.tensor([3.0, 1.0]),
    )
    assert float(loss.mean(losses, targets)) == pytest.approx(7 / 3)
    assert float(loss.mean(losses, targets, labels)) == pytest.approx((3 + 2 + 4) / 5)
    assert float(loss.mean(losses, targets, None, torch.tensor([1.0, 0.0, 1.0]))) == pytest.approx(
        2.5
    )
    assert float(
        loss.mean(losses, targets, labels, torch.tensor([1.0, 0.0, 2.0]))
    ) == pytest.approx((3 + 8) / 5)
    assert float(loss.mean(losses, targets, None, torch.zeros(3))) == 0.0
    logits = torch.randn(3, 2)
    ours = loss.mean(loss.cross_entropy(logits, targets), targets, labels)
    assert float(ours) == pytest.approx(
        float(functional.cross_entropy(logits, targets, weight=labels))
    )


def test_a_rare_label_weighs_more_and_every_label_in_all_the_same() -> None:
    weights = loss.label_weights([0, 0, 0, 1], 2)
    assert weights.tolist() == pytest.approx([2 / 3, 2.0])
    assert loss.label_weights([0, 1, 0, 1], 2).tolist() == [1.0, 1.0]


def accuracy(name: str) -> float:
    """Of two layers trained for long on 600 rows, of which 30 % have a wrong label, on 1,000 clean ones."""
    torch.manual_seed(0)
    features = torch.randn(1600, 5)
    clean = (features[:, :3].sum(1) > 0).long()
    noisy = torch.where(torch.rand(600) < 0.3, 1 - clean[:600], clean[:600])
    model = torch.nn.Sequential(torch.nn.Linear(5, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
    optimizer, function = (
        torch.optim.Adam(model.parameters(), 0.01),
        loss.choose(Loss(name), "classification"),
    )
    for _ in range(300):
        optimizer.zero_grad()
        function(model(features[:600]), noisy).mean().backward()
        optimizer.step()
    return float((model(features[600:]).argmax(1) == clean[600:]).float().mean())


def test_robust_losses_keep_what_cross_entropy_loses_to_wrong_labels() -> None:
    plain = accuracy("cross_entropy")
    for name in ("generalized_ce", "symmetric_ce"):
        assert accuracy(name) > plain + 0.03, name
    assert accuracy("label_smoothing") > plain - 0.05
