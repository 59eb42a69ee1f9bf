"""The values that options of the config may have."""

from __future__ import annotations

FILTER_METHODS = ("none", "verified", "relabelled", "soft", "auto")

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
LOGGERS = ("mlflow", "none")

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
