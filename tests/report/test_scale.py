"""Axes."""

from __future__ import annotations

import pytest

from japagen.report import scale


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.52, 0.83, [0.5, 0.6, 0.7, 0.8, 0.9]),
        (0.5, 0.5, [0.5, 0.52, 0.54, 0.56]),
        (0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_round_numbers_at_an_axis(low: float, high: float, ticks: list[float]) -> None:
    first, last, found = scale.bounds(low, high)
    assert first <= low <= high <= last
    assert len(found) >= 2
    assert found[: len(ticks)] == ticks or low == high


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("found", [[5.0], [1.0, 1.0], [1.0, 1e6], [1e-9, 1.0]])
def test_every_value_is_on_the_axis(found: list[float], log: bool) -> None:
    axis = scale.measured(found, 10, 100, log)
    assert all(10 <= axis(one) <= 100 for one in found)
    assert set(axis.ticks) <= set(found)


@pytest.mark.parametrize("found", [[0.0], [-3.0, -3.0], [1e17, 1e17 + 16], [0.5, 0.5 + 1e-12]])
def test_values_close_together_have_an_axis(found: list[float]) -> None:
    axis = scale.rounded(found, 10, 100)
    assert axis.low < axis.high
    assert all(axis(one) == axis(one) for one in found)
