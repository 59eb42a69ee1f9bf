from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from japagen.config import component
from japagen.config.schema import CONF
from japagen.training.losses import RowLoss
from japagen.training.losses.auto import Auto
from japagen.training.losses.cross_entropy import CrossEntropy, cross_entropy
from japagen.training.losses.generalized_ce import GeneralizedCE
from japagen.training.losses.huber import Huber
from japagen.training.losses.label_smoothing import LabelSmoothing
from japagen.training.losses.mse import MSE
from japagen.training.losses.soft import Soft
from japagen.training.losses.sungen import SunGen
from japagen.training.losses.symmetric_ce import SymmetricCE
from japagen.training.weighting import label_weights, weighted_mean

# Probabilities of 1/2, 1/4, 1/4 for the three labels, in each of two rows.
LOGITS = torch.tensor([[2.0, 1.0, 1.0]]).log().repeat(2, 1)
TARGETS = torch.tensor([0, 1])


def of(loss: RowLoss) -> list[float]:
    """The loss of both rows."""
    return loss(LOGITS, TARGETS).tolist()


def test_every_class_of_conf_loss_is_a_loss_of_a_kind_of_task() -> None:
    for name, cls in component.all_of(CONF / "loss").items():
        assert issubclass(cls, RowLoss), name
        assert cls.kind in (None, "classification", "regression"), name


def test_auto_is_cross_entropy_of_labels_and_squared_error_of_scores() -> None:
    assert of(Auto("auto")) == pytest.approx(of(CrossEntropy("cross_entropy")))
    scores, targets = torch.tensor([[0.5], [1.0]]), torch.tensor([0.0, 0.9])
    assert Auto("auto")(scores, targets).tolist() == pytest.approx([0.25, 0.01])


def test_cross_entropy_is_the_log_of_the_targets_share() -> None:
    for loss in (CrossEntropy("cross_entropy"), Soft("soft"), SunGen("sungen")):
        assert of(loss) == pytest.approx([math.log(2), math.log(4)])


def test_cross_entropy_takes_probabilities() -> None:
    soft = cross_entropy(LOGITS, torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]))
    assert soft.tolist() == pytest.approx([0.5 * math.log(2) + 0.5 * math.log(4), math.log(4)])


def test_label_smoothing_shares_epsilon_out() -> None:
    # 0.7 + 0.1 of the first row's target is left to it, 0.1 goes to each other label.
    assert of(LabelSmoothing("label_smoothing", epsilon=0.3))[0] == pytest.approx(
        0.8 * math.log(2) + 0.2 * math.log(4)
    )
    assert of(LabelSmoothing("label_smoothing", epsilon=0.0)) == pytest.approx(
        of(CrossEntropy("cross_entropy"))
    )


def test_generalized_ce_lies_between_cross_entropy_and_absolute_error() -> None:
    assert of(GeneralizedCE("generalized_ce", q=0.5)) == pytest.approx(
        [(1 - 0.5**0.5) / 0.5, (1 - 0.25**0.5) / 0.5]
    )
    assert of(GeneralizedCE("generalized_ce", q=1.0)) == pytest.approx([0.5, 0.75])
    assert of(GeneralizedCE("generalized_ce", q=1e-6)) == pytest.approx(
        of(CrossEntropy("cross_entropy")), abs=1e-4
    )


def test_symmetric_ce_is_both_ways() -> None:
    assert of(SymmetricCE("symmetric_ce", alpha=0.0, beta=1.0)) == pytest.approx([2.0, 3.0])
    assert of(SymmetricCE("symmetric_ce", alpha=0.1, beta=0.5)) == pytest.approx(
        [0.1 * math.log(2) + 1.0, 0.1 * math.log(4) + 1.5]
    )
    assert of(SymmetricCE("symmetric_ce", alpha=1.0, beta=0.0)) == pytest.approx(
        of(CrossEntropy("cross_entropy"))
    )


@pytest.mark.parametrize("loss", [GeneralizedCE("generalized_ce"), SymmetricCE("symmetric_ce")])
def test_a_row_with_probability_0_has_a_finite_loss_and_gradient(loss: RowLoss) -> None:
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    value = loss(logits, torch.tensor([0])).sum()
    value.backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(logits.grad).all())


def test_errors_of_scores() -> None:
    scores, targets = torch.tensor([[0.5], [1.0]]), torch.tensor([0.0, 0.9])
    assert MSE("mse")(scores, targets).tolist() == pytest.approx([0.25, 0.01])
    assert Huber("huber", delta=0.2)(scores, targets).tolist() == pytest.approx(
        [0.2 * (0.5 - 0.1), 0.005]
    )
    assert Huber("huber", delta=9.0)(scores, targets).tolist() == pytest.approx([0.125, 0.005])


def test_a_mean_uses_the_weights_of_labels_and_rows() -> None:
    losses, targets, labels = (
        torch.tensor([1.0, 2.0, 4.0]),
        torch.tensor([0, 1, 1]),
        torch.tensor([3.0, 1.0]),
    )
    assert float(weighted_mean(losses, targets)) == pytest.approx(7 / 3)
    assert float(weighted_mean(losses, targets, labels)) == pytest.approx((3 + 2 + 4) / 5)
    assert float(
        weighted_mean(losses, targets, None, torch.tensor([1.0, 0.0, 1.0]))
    ) == pytest.approx(2.5)
    assert float(
        weighted_mean(losses, targets, labels, torch.tensor([1.0, 0.0, 2.0]))
    ) == pytest.approx((3 + 8) / 5)
    assert float(weighted_mean(losses, targets, None, torch.zeros(3))) == 0.0
    logits = torch.randn(3, 2)
    ours = weighted_mean(cross_entropy(logits, targets), targets, labels)
    assert float(ours) == pytest.approx(
        float(functional.cross_entropy(logits, targets, weight=labels))
    )


def test_a_rare_label_weighs_more_and_every_label_in_all_the_same() -> None:
    weights = label_weights([0, 0, 0, 1], 2)
    assert weights.tolist() == pytest.approx([2 / 3, 2.0])
    assert label_weights([0, 1, 0, 1], 2).tolist() == [1.0, 1.0]


def accuracy(loss: RowLoss) -> float:
    """Accuracy on 1,000 clean rows after training on 600, of which 30 % have a wrong label."""
    torch.manual_seed(0)
    features = torch.randn(1600, 5)
    clean = (features[:, :3].sum(1) > 0).long()
    noisy = torch.where(torch.rand(600) < 0.3, 1 - clean[:600], clean[:600])
    model = torch.nn.Sequential(torch.nn.Linear(5, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        loss(model(features[:600]), noisy).mean().backward()
        optimizer.step()
    return float((model(features[600:]).argmax(1) == clean[600:]).float().mean())


@pytest.mark.slow
def test_robust_losses_beat_cross_entropy_on_wrong_labels() -> None:
    plain = accuracy(CrossEntropy("cross_entropy"))
    for loss in (GeneralizedCE("generalized_ce"), SymmetricCE("symmetric_ce")):
        assert accuracy(loss) > plain + 0.03, loss.name
    assert accuracy(LabelSmoothing("label_smoothing")) > plain - 0.05
