"""Labelled Japanese training data written by an LLM, and compact students trained on it."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["generate", "load_student", "train"]


def __getattr__(name: str) -> Any:
    """Return a function of `japagen.notebook`, which is imported at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # By its name: every module imports this package, which must not seem to import all of them.
    return getattr(importlib.import_module("japagen.notebook"), name)
