"""Numbers -> pixels along an axis, and the numbers to print at it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

STEPS = (1, 2, 2.5, 5, 10)
APART = 34  # pixels between numbers at the x axis


@dataclass(frozen=True)
class Scale:
    """An axis from `low` at the pixel `start` to `high` at the pixel `end`."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float] = ()
    log: bool = False

    def __call__(self, number: float) -> float:
        """The pixel of `number`."""
        ends = (self.low, self.high, number)
        low, high, at = (math.log(one) if self.log else one for one in ends)
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 1)


def measured(found: Iterable[float], start: float, end: float, log: bool) -> Scale:
    """An axis with ticks at the values that occur, as far as there is room for them."""
    values = sorted(set(found))
    low, high = values[0], values[-1]
    if low == high:
        low, high = (low * 0.5, low * 1.5) if low > 0 else (low - 1, low + 1)
    scale = Scale(low, high, start, end, (), log)
    kept: list[float] = []
    for number in values:
        if not kept or scale(number) - scale(kept[-1]) > APART:
            kept.append(number)
    return Scale(low, high, start, end, kept, log)


def rounded(found: Iterable[float], start: float, end: float) -> Scale:
    """An axis with ticks at three to six round numbers."""
    values = list(found)
    low, high, ticks = bounds(min(values), max(values))
    return Scale(low, high, start, end, ticks)


def bounds(low: float, high: float) -> tuple[float, float, list[float]]:
    """Round bounds around [low, high], and round numbers from one to the other."""
    span = (high - low) or abs(high) * 0.1 or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(power * one for one in STEPS if power * one >= span / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = [round(step * one, 10) for one in range(first, last + 1)]
    if len(set(ticks)) < 2:  # numbers too close together for ten digits
        ticks = [low - 1, low + 1]
    return ticks[0], ticks[-1], ticks
