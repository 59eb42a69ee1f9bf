"""The dataset card: the README.md of a synthetic dataset's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from japagen.config.schema import Config
from japagen.dataset import identity
from japagen.dataset.table import TABLE


def card(config: Config, manifest: Mapping[str, Any]) -> str:
    """A dataset card; its head lets datasets.load_dataset open the folder."""
    table = [f"| {label} | {counts_of(manifest, label)} |" for label in config.task.labels]
    return "\n".join(
        [
            "---",
            "language: ja",
            f"task_categories: [{'sentence-similarity' if config.task.kind == 'regression' else 'text-classification'}]",
            "tags: [synthetic, japagen]",
            f"configs: [{{config_name: default, data_files: [{{split: train, path: {TABLE}}}]}}]",
            "---",
            f"# {config.task.name}, written by {config.llm.name}",
            "",
            "Synthetic Japanese text: no person wrote or checked it. Made by JapaGen with the command",
            "",
            f"    {identity.generate_command(config)}",
            "",
            f"LLM: `{config.llm.model}`, licence: {config.llm.licence}; its terms may limit what may be done with its output.",
            f"Prompt: {config.prompt.name}, {config.shots} shots, seed {config.seed}, fingerprint {identity.fingerprint(config)}.",
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
    return (
        ", ".join(
            f"{reason} {count}" for reason, count in manifest["rejected"].get(label, {}).items()
        )
        or "none"
    )
