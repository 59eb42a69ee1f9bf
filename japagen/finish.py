"""The end of a generation: the table becomes the dataset's, with its card and its manifest, which says that it is whole."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from japagen import __version__, store
from japagen.config import Config


def finish(config: Config, table: IO[str], report: Mapping[str, Any]) -> dict[str, Any]:
    """Make the written `table` the dataset's table, then write card and manifest, which says that it is whole."""
    path = store.folder(config)
    table.flush()
    os.fsync(table.fileno())
    Path(table.name).replace(path / store.TABLE)
    replies = int(report["replies"])
    manifest = {
        "fingerprint": store.fingerprint(config),
        "num_per_label": config.num_per_label,
        **report,
        "acceptance_rate": round(report["accepted"] / replies, 4) if replies else 0.0,
        "versions": versions(),
        "identity": store.identity(config),
    }
    store.write_whole(path / store.CARD, card(config, manifest))
    store.write_whole(path / store.MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
    return manifest


def versions() -> dict[str, str]:
    """Versions of Python, JapaGen and the engines that are installed."""
    found = {"python": platform.python_version(), "japagen": __version__}
    for package in ("xllamacpp", "vllm", "openai"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def card(config: Config, manifest: Mapping[str, Any]) -> str:
    """A dataset card; its head lets datasets.load_dataset open the folder."""
    table = [f"| {label} | {counts_of(manifest, label)} |" for label in config.task.labels]
    return "\n".join(
        [
            "---",
            "language: ja",
            f"task_categories: [{'sentence-similarity' if config.task.kind == 'regression' else 'text-classification'}]",
            "tags: [synthetic, japagen]",
            f"configs: [{{config_name: default, data_files: [{{split: train, path: {store.TABLE}}}]}}]",
            "---",
            f"# {config.task.name}, written by {config.llm.name}",
            "",
            "Synthetic Japanese text: no person wrote or checked it. Made by JapaGen with the command",
            "",
            f"    {store.generate_command(config)}",
            "",
            f"LLM: `{config.llm.model}`, licence: {config.llm.licence}; its terms may limit what may be done with its output.",
            f"Prompt: {config.prompt.name}, {config.shots} shots, seed {config.seed}, fingerprint {store.fingerprint(config)}.",
            f"Replies: {manifest['replies']}, accepted: {manifest['accepted']}.",
            "",
            "| label | rejected replies by reason |",
            "|---|---|",
            *table,
            "",
        ]
    )


def counts_of(manifest: Mapping[str, Any], label: str) -> str:
    """The rejections of one label on one line."""
    return ", ".join(f"{reason} {count}" for reason, count in manifest["rejected"].get(label, {}).items()) or "none"
