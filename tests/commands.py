"""Commands started as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from japagen.config.schema import CONF

ROOT = CONF.parent


def start(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with `words` in `folder`, where downloaded files are kept as well."""
    env = {**os.environ, "JAPAGEN_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**env, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
    )


def generate(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run generate.py with the fake LLM, one example per label and no MLflow."""
    options = ["task=jcola", "llm=fake", "num_per_label=1", "logger=none"]
    return start(folder, str(ROOT / "generate.py"), *options, *words, **environment)
