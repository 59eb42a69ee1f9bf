"""The values that options of the config may have."""

from __future__ import annotations

FILTER_METHODS = ("none", "verified", "relabelled", "soft", "auto")

# What evaluate.py can score.
SUBJECTS = ("prompting", "student", "dataset")

SCHEDULES = ("linear", "cosine", "constant")
POOLINGS = ("cls", "mean")
LOGGERS = ("mlflow", "none")

OBJECTIVES = ("test", "valid")
