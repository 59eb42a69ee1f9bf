"""The manifest of a finished dataset: its options, counts, tokens, seconds and versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from japagen import __version__, files
from japagen.config.secret import without_secrets
from japagen.dataset import parquet
from japagen.dataset.card import card
from japagen.dataset.identity import Dataset
from japagen.dataset.table import CARD, MANIFEST, SEAL, TABLE, checksum, seal

EXAMPLES = 5  # rows on the card


def finish(dataset: Dataset, table: IO[str], report: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the written `table`, the same as parquet, the card, and then the manifest.

    The manifest says that all is there.
    """
    path = dataset.folder
    table.flush()
    os.fsync(table.fileno())
    Path(table.name).replace(path / TABLE)
    parquet.write(path, dataset.task)
    replies = int(report["replies"])
    manifest = {
        "fingerprint": dataset.fingerprint,
        "num_per_label": dataset.num_per_label,
        **report,
        "acceptance_rate": round(report["accepted"] / replies, 4) if replies else 0.0,
        "completion_tokens_per_accepted": round(
            report["completion_tokens"] / max(1, report["accepted"]), 1
        ),
        "table_sha256": checksum(path / TABLE),
        "versions": versions(),
        "identity": without_secrets(dataset.identity),
    }
    with (path / TABLE).open(encoding="utf-8") as lines:
        examples = [line.rstrip("\n") for line in itertools.islice(lines, EXAMPLES)]
    files.write_whole(path / CARD, card(dataset, manifest, examples))
    text = json.dumps({**manifest, SEAL: seal(manifest)}, ensure_ascii=False, indent=2)
    files.write_whole(path / MANIFEST, text + "\n")
    return manifest


def versions() -> dict[str, str]:
    """Return the versions of Python, JapaGen and the installed engines."""
    found = {"python": platform.python_version(), "japagen": __version__}
    for package in ("xllamacpp", "vllm", "openai"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
