"""The estimated tokens, time and cost of a dataset, from a small sample of its replies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.645  # of a two-sided interval of 90 %


@dataclass(frozen=True)
class Drawn:
    """One reply of the sample: its tokens, and whether it can be accepted."""

    prompt_tokens: int
    completion_tokens: int
    clean: bool


@dataclass(frozen=True)
class Range:
    """An expected amount and the limits between which it lies with 90 % confidence."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> Range:
        """The same in another unit."""
        return Range(self.expected * factor, self.low * factor, self.high * factor)


def total(amounts: Sequence[float], clean: Sequence[bool], missing: int) -> Range | None:
    """Return the amount that `missing` clean replies will take; None if no sampled one was clean.

    The amount for one clean reply is a ratio of two sums over the sample; its standard error is
    that of the ratio estimator (Cochran 1977, section 2.11).
    """
    kept = sum(clean)
    if kept == 0:
        return None
    ratio = sum(amounts) / kept
    residual = sum((amount - ratio * ok) ** 2 for amount, ok in zip(amounts, clean, strict=True))
    error = math.sqrt(residual * len(amounts) / max(1, len(amounts) - 1)) / kept
    return Range(
        missing * ratio, missing * max(0.0, ratio - Z * error), missing * (ratio + Z * error)
    )


def lines(
    sample: Sequence[Drawn],
    missing: int,
    seconds: float,
    price_prompt: float,
    price_completion: float,
) -> list[str]:
    """Return the estimate as lines to print.

    `seconds`: of the sample. Prices: in US dollars per million tokens.
    """
    clean = [reply.clean for reply in sample]
    prompt = total([reply.prompt_tokens for reply in sample], clean, missing)
    completion = total([reply.completion_tokens for reply in sample], clean, missing)
    replies = total([1.0] * len(sample), clean, missing)
    costs = [
        (reply.prompt_tokens * price_prompt + reply.completion_tokens * price_completion) / 1e6
        for reply in sample
    ]
    cost = total(costs, clean, missing)
    head = (
        f"Estimate for {missing} more examples, from {len(sample)} replies of which {sum(clean)} "
        "were clean (90 % range):"
    )
    if prompt is None or completion is None or replies is None or cost is None:
        return [
            head,
            "  no reply was clean: nothing can be estimated. See the prompts with "
            "dry_run=true, and the journal",
        ]
    rows = [
        ("replies", text(replies)),
        ("prompt tokens", text(prompt)),
        ("completion tokens", text(completion)),
        ("time", duration(replies.times(seconds / len(sample)))),
    ]
    if price_prompt or price_completion:
        rows.append(
            ("cost in US dollars", f"{cost.expected:.2f}  ({cost.low:.2f} to {cost.high:.2f})")
        )
    return [head, *(f"  {name:<20}{value}" for name, value in rows)]


def text(amount: Range) -> str:
    """A count with its limits."""
    return f"{amount.expected:,.0f}  ({amount.low:,.0f} to {amount.high:,.0f})"


def duration(seconds: Range) -> str:
    """Seconds as hours and minutes with their limits."""
    return f"{clock(seconds.expected)}  ({clock(seconds.low)} to {clock(seconds.high)})"


def clock(seconds: float) -> str:
    """1 h 02 min, or 3 min 04 s."""
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60:02d} min"
        if minutes >= 60
        else f"{minutes} min {rest:02d} s"
    )
