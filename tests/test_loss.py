from __future__ import annotations

import pytest
import torch

from japagen import loss
from japagen.check import LOSSES
from japagen.config import Loss


def test_every_allowed_loss_is_there_and_auto_is_the_kinds_first() -> None:
    assert set(loss.FUNCTIONS) == set(LOSSES)
    assert loss.choose(Loss("auto"), "classification") is loss.cross_entropy
    assert loss.choose(Loss("auto"), "regression") is loss.mse
    assert loss.choose(Loss("mse"), "regression") is loss.mse


def test_cross_entropy_of_even_logits_is_the_log_of_the_labels() -> None:
    assert float(loss.cross_entropy(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), None)) == pytest.approx(1.0986, abs=1e-4)


def test_mse_takes_a_column_of_scores() -> None:
    assert float(loss.mse(torch.tensor([[0.5], [1.0]]), torch.tensor([0.0, 1.0]), None)) == pytest.approx(0.125)


def test_a_rare_label_weighs_more_and_every_label_in_all_the_same() -> None:
    weights = loss.label_weights([0, 0, 0, 1], 2)
    assert weights.tolist() == pytest.approx([2 / 3, 2.0])
    assert loss.label_weights([0, 1, 0, 1], 2).tolist() == [1.0, 1.0]
