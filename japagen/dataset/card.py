"""The dataset card: the README.md of a synthetic dataset's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from japagen.dataset.identity import Dataset
from japagen.dataset.table import TABLE


def card(dataset: Dataset, manifest: Mapping[str, Any]) -> str:
    """Return a dataset card; its header lets datasets.load_dataset open the folder."""
    task, llm = dataset.task, dataset.llm
    kind = "sentence-similarity" if task.kind == "regression" else "text-classification"
    split = f"[{{split: train, path: {TABLE}}}]"
    return "\n".join(
        [
            "---",
            "language: ja",
            f"task_categories: [{kind}]",
            "tags: [synthetic, japagen]",
            f"configs: [{{config_name: default, data_files: {split}}}]",
            "---",
            f"# {task.name}, written by {llm.name}",
            "",
            "Synthetic Japanese text: no person wrote or checked it. Made by JapaGen with:",
            "",
            f"    {dataset.command}",
            "",
            f"LLM: `{llm.model}`, licence: {llm.licence}. Its terms may limit the use of texts.",
            f"Prompt: {dataset.prompt.name}, {dataset.shots} shots, seed {dataset.seed}. "
            f"Label filter: {dataset.filter.name}. Fingerprint: {dataset.fingerprint}.",
            f"Replies: {manifest['replies']}, accepted: {manifest['accepted']}.",
            "",
            "| label | rejected replies by reason |",
            "|---|---|",
            *(f"| {label} | {counts_of(manifest, label)} |" for label in task.labels),
            "",
        ]
    )


def counts_of(manifest: Mapping[str, Any], label: str) -> str:
    """Return the rejections of one label on one line."""
    return (
        ", ".join(
            f"{reason} {count}" for reason, count in manifest["rejected"].get(label, {}).items()
        )
        or "none"
    )
