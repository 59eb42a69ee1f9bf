"""The manifest of a finished dataset: its options, counts, tokens, seconds and versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import json
import logging
import os
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

from japagen import __version__, files
from japagen.config.secret import without_secrets
from japagen.dataset import parquet
from japagen.dataset.card import card
from japagen.dataset.identity import Dataset
from japagen.dataset.table import (
    CARD,
    DERIVED,
    FILES,
    MANIFEST,
    PARQUET,
    SEAL,
    SOFT,
    TABLE,
    changed,
    checksum,
    seal,
)

log = logging.getLogger(__name__)

EXAMPLES = 5  # rows on the card
EARLIER_CARD = f"{CARD}.earlier"


def finish(dataset: Dataset, table: IO[str], report: Mapping[str, Any]) -> dict[str, Any]:
    """Publish the written `table`, the same as parquet, the card, and then the manifest.

    The manifest says that all is there.
    """
    path = dataset.folder
    table.flush()
    os.fsync(table.fileno())
    Path(table.name).replace(path / TABLE)
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
        "command": dataset.command,
        "identity": without_secrets(dataset.identity),
    }
    return derive(dataset, manifest, DERIVED)


def derive(dataset: Dataset, manifest: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Write those of DERIVED that are in `names`, then the manifest with their checksums."""
    path = dataset.folder
    if PARQUET in names:
        parquet.write(path, dataset.task)
    if CARD in names:
        with (path / TABLE).open(encoding="utf-8") as lines:
            examples = [line.rstrip("\n") for line in itertools.islice(lines, EXAMPLES)]
        files.write_whole(path / CARD, card(dataset, manifest, examples))
    sums = {name: checksum(path / name) for name in (*DERIVED, SOFT)}
    found = {**manifest, FILES: {name: known for name, known in sums.items() if known}}
    text = json.dumps({**found, SEAL: seal(found)}, ensure_ascii=False, indent=2)
    files.write_whole(path / MANIFEST, text + "\n")
    return found


def restore(dataset: Dataset, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write those of DERIVED again that are absent or changed; returns the manifest.

    An earlier card is kept beside the new one, because a person may have edited it.
    """
    path = dataset.folder
    names = changed(path, manifest, DERIVED)
    if not names:
        return dict(manifest)
    log.warning("%s: %s absent, damaged or edited: made again", path, " and ".join(names))
    if CARD in names and (path / CARD).exists():
        names_of_cards = (f"{EARLIER_CARD}{f'.{n}' if n > 1 else ''}" for n in itertools.count(1))
        kept = next(path / name for name in names_of_cards if not (path / name).exists())
        (path / CARD).replace(kept)
        log.warning("%s was the card", kept)
    return derive(dataset, manifest, names)


def versions() -> dict[str, str]:
    """Return the versions of Python, JapaGen and the installed engines."""
    found = {"python": platform.python_version(), "japagen": __version__}
    for package in ("xllamacpp", "vllm", "openai"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
