"""Ranges of options: declared where the option is defined, checked by one function."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Larger numbers do not fit into the integers of torch, NumPy and JSON readers.
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Limits:
    """Bounds of a number; `least` and `most` are allowed values, `above` and `below` are not."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def allow(self, value: float) -> bool:
        """Whether `value` is within all bounds; NaN never is."""
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """The bounds in words, e.g. "above 0, at most 1"."""
        words = [
            "" if self.least is None else f"{self.least:g} or more",
            "" if self.above is None else f"above {self.above:g}",
            "" if self.most is None else f"at most {self.most:,}",
            "" if self.below is None else f"below {self.below:g}",
        ]
        return ", ".join(word for word in words if word)


def limited(
    default: Any,
    text: str = "",
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> Any:
    """A dataclass field for a number with bounds; `text` is its line in --help."""
    metadata: dict[str, Any] = {"limits": Limits(least, above, most, below)}
    return field(default=default, metadata={**metadata, "help": text} if text else metadata)


def limit_problems(group: Any, where: str = "") -> Iterator[str]:
    """Numbers outside their bounds in the dataclass `group` and in all dataclasses within it."""
    for item in dataclasses.fields(group):
        name, value = f"{where}{item.name}", getattr(group, item.name)
        if dataclasses.is_dataclass(value):
            yield from limit_problems(value, f"{name}.")
            continue
        problems = list(number_problems(value, name))
        limits = item.metadata.get("limits")
        if not problems and limits and value is not None and not limits.allow(value):
            example = "" if item.default is None else f", e.g. {name}={item.default}"
            problems.append(f"{name} is {value}; it must be {limits}{example}")
        yield from problems


def number_problems(value: Any, name: str) -> Iterator[str]:
    """Numbers in `value`, at any depth, that are not finite or are too large."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from number_problems(inner, f"{name}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from number_problems(inner, f"{name}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{name} is {value}; it must be a finite number (or null for no limit)"
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield f"{name} is {value}; it must be between -2^63 and 2^63"
