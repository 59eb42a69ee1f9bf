"""The values that options of the config may have."""

from __future__ import annotations

from collections.abc import Callable

# What evaluate.py can look at.
FILTER_METHODS = ("none", "verified", "relabelled", "soft", "auto")
SUBJECTS = ("prompting", "student", "dataset")

# A value of `data` -> where its rows come from.
SOURCES = {
    "synthetic": ("synthetic",),
    "gold": ("gold",),
    "few_gold": ("gold",),
    "mixed": ("synthetic", "gold"),
}
ORDERS = ("together", "synthetic_first")


SCHEDULES = ("linear", "cosine", "constant")
POOLINGS = ("cls", "mean")


# Loss -> the kind of task it is for; the first of a kind is its `auto`.
LOSSES = {
    "cross_entropy": "classification",
    "label_smoothing": "classification",
    "generalized_ce": "classification",
    "symmetric_ce": "classification",
    "soft": "classification",
    "sungen": "classification",
    "mse": "regression",
    "huber": "regression",
}
# Option of a loss -> (what is allowed in words, whether a value is).
LOSS_OPTIONS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "epsilon": ("0 or more and below 1", lambda x: 0 <= x < 1),
    "q": ("above 0, at most 1", lambda x: 0 < x <= 1),
    "alpha": ("0 or more", lambda x: x >= 0),
    "beta": ("0 or more", lambda x: x >= 0),
    "delta": ("above 0", lambda x: x > 0),
    "step": ("above 0, at most 1", lambda x: 0 < x <= 1),
}
