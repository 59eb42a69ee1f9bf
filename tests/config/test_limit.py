"""Ranges of options."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from japagen.config.limit import limit_problems, limited


@dataclasses.dataclass
class Inner:
    share: float | None = limited(None, above=0, most=1)


@dataclasses.dataclass
class Outer:
    count: int = limited(4, "how many", least=1)
    rate: float = limited(0.1, least=0, below=1)
    inner: Inner = dataclasses.field(default_factory=Inner)
    free: dict[str, Any] = dataclasses.field(default_factory=dict)


def test_values_within_their_bounds_are_no_problem() -> None:
    assert not list(limit_problems(Outer(1, 0.0, Inner(1.0), {"a": [1, {"b": 2.5}], "c": "x"})))


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        (Outer(count=0), "count is 0; it must be 1 or more, e.g. count=4"),
        (Outer(rate=1.0), "rate is 1.0; it must be 0 or more, below 1, e.g. rate=0.1"),
        (Outer(inner=Inner(0.0)), "inner.share is 0.0; it must be above 0, at most 1"),
        (Outer(rate=math.nan), "rate is nan; it must be a finite number (or null for no limit)"),
        (Outer(free={"a": [0, -math.inf]}), "free.a[1] is -inf; it must be a finite number"),
        (Outer(count=2**70), f"count is {2**70}; it must be between -2^63 and 2^63"),
    ],
)
def test_each_value_outside_its_bounds_is_one_problem(group: Outer, problem: str) -> None:
    (found,) = limit_problems(group)
    assert found.startswith(problem)
