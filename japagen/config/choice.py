"""The values that options of the config may have."""

from __future__ import annotations

FILTER_METHODS = ("none", "verified", "relabelled", "soft", "auto")


SCHEDULES = ("linear", "cosine", "constant")
POOLINGS = ("cls", "mean")
LOGGERS = ("mlflow", "none")

OBJECTIVES = ("test", "valid")
