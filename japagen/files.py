"""Atomic writing of files, their permissions, the JSON encoder, and the cache folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

LINE = json.JSONEncoder(ensure_ascii=False)  # json.dumps would create an encoder for each line


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically: afterwards it is complete, or as it was before."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def as_usual(path: Path) -> None:
    """Give a file the permissions of a new one; safetensors writes files for their owner alone."""
    mask = os.umask(0o022)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def cache_dir() -> Path:
    """The folder of models: JAPAGEN_CACHE, else `japagen` in XDG_CACHE_HOME, else in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("JAPAGEN_CACHE") or f"{home}/japagen").expanduser().absolute()
