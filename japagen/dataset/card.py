"""The dataset card: the README.md of a synthetic dataset's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from japagen.dataset.identity import Dataset
from japagen.dataset.table import TABLE


def card(dataset: Dataset, manifest: Mapping[str, Any]) -> str:
    """A dataset card; its head lets datasets.load_dataset open the folder."""
    table = [f"| {label} | {counts_of(manifest, label)} |" for label in dataset.task.labels]
    return "\n".join(
        [
            "---",
            "language: ja",
            f"task_categories: [{'sentence-similarity' if dataset.task.kind == 'regression' else 'text-classification'}]",
            "tags: [synthetic, japagen]",
            f"configs: [{{config_name: default, data_files: [{{split: train, path: {TABLE}}}]}}]",
            "---",
            f"# {dataset.task.name}, written by {dataset.llm.name}",
            "",
            "Synthetic Japanese text: no person wrote or checked it. Made by JapaGen with the command",
            "",
            f"    {dataset.command}",
            "",
            f"LLM: `{dataset.llm.model}`, licence: {dataset.llm.licence}; its terms may limit what may be done with its output.",
            f"Prompt: {dataset.prompt.name}, {dataset.shots} shots, seed {dataset.seed}, fingerprint {dataset.fingerprint}.",
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
