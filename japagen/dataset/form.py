"""Forms of the JSON values in a journal: what its readers rely on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

Form = tuple[Callable[[Any], bool], str]  # (test of a value, what is allowed)


def is_text(value: object) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def is_texts(value: object) -> bool:
    """Whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def is_count(value: object) -> bool:
    """Whether a value is a whole number from 0; true and false are none."""
    return type(value) is int and value >= 0


def is_counts(value: object) -> bool:
    """Whether a value is a list of whole numbers from 0."""
    return isinstance(value, list) and all(map(is_count, value))


def is_pair(value: object) -> bool:
    """Whether a value is a list of two whole numbers from 0: tokens of prompts and replies."""
    return is_counts(value) and len(value) == 2  # type: ignore[arg-type]


def is_number(value: object) -> bool:
    """Whether a value is a finite number from 0; true and false are none."""
    return type(value) in (int, float) and 0 <= value < math.inf  # type: ignore[operator]


def is_numbers(value: object) -> bool:
    """Whether a value is a list of finite numbers from 0."""
    return isinstance(value, list) and all(map(is_number, value))


def problem(values: Mapping[str, Any], forms: Mapping[str, Form], optional: set[str]) -> str:
    """What is wrong with the first value that lacks its form, or ""."""
    for key, (test, allowed) in forms.items():
        if key not in values and key not in optional:
            return f"'{key}' is absent; allowed: {allowed}"
        if key in values and not test(values[key]):
            return f"'{key}' is {json.dumps(values[key])[:60]}; allowed: {allowed}"
    return ""


TEXT: Form = (is_text, "a text")
TEXTS: Form = (is_texts, "a list of texts")
COUNT: Form = (is_count, "a whole number from 0")
PAIR: Form = (is_pair, "two whole numbers from 0")
NUMBER: Form = (is_number, "a number from 0")
NUMBERS: Form = (is_numbers, "a list of numbers from 0")
