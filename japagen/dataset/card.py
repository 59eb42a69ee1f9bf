"""The dataset card: the README.md of a synthetic dataset's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from japagen.config.task import Task
from japagen.dataset.identity import Dataset
from japagen.dataset.table import PARQUET, TABLE

# Upper limits of the hub's size categories.
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LARGEST = "1M<n<10M"
LOADING = f"""Load it, with the folder or its name on the hub:

```python
from datasets import load_dataset
rows = load_dataset("FOLDER", split="train")
```

`{PARQUET}` is loaded. `{TABLE}` has the same rows as text.
"""
ABOUT = """## Limits

The texts repeat what the LLM prefers to write, and may be wrong, offensive or copies of what it was
trained on. Labels are those asked for, or those that a label filter gave, not those of a person.
Score a model trained on it on gold data.

## Citation

The method is that of JAPAGEN (https://arxiv.org/abs/2412.06738).
"""


def card(dataset: Dataset, manifest: Mapping[str, Any], examples: Iterable[str]) -> str:
    """Return a dataset card; its header lets datasets.load_dataset open the folder.

    `examples`: lines of the table to show.
    """
    task, llm = dataset.task, dataset.llm
    return "\n".join(
        [
            *header(task, int(manifest["accepted"]), bool(llm.writers)),
            f"# {task.name}, written by {llm.name}",
            "",
            "Synthetic Japanese text: no person wrote or checked it. Made by JapaGen with:",
            "",
            f"    {manifest.get('command', dataset.command)}",
            "",
            LOADING,
            *columns(task, bool(llm.writers)),
            "",
            f"LLM: `{llm.model}`, licence: {llm.licence}. Its terms may limit the use of texts.",
            f"Prompt: {dataset.prompt.name}, {dataset.shots} shots, seed {dataset.seed}. "
            f"Label filter: {dataset.filter.name}. Selection: {dataset.select.name}. "
            f"Fingerprint: {dataset.fingerprint}.",
            f"Replies: {manifest['replies']}, accepted: {manifest['accepted']}.",
            "",
            "## Examples",
            "",
            "The first rows, not picked by hand:",
            "",
            "```json",
            *(line.replace("```", "` ` `") for line in examples),
            "```",
            "",
            "## Rejected replies",
            "",
            "| label | rejected replies by reason |",
            "|---|---|",
            *(f"| {label} | {counts_of(manifest, label)} |" for label in task.labels),
            "",
            ABOUT,
        ]
    )


def header(task: Task, number: int, mixed: bool) -> list[str]:
    """Return the YAML that the hub and `datasets` read: kind, size, columns, files."""
    kind = "sentence-similarity" if task.kind == "regression" else "text-classification"
    size = next((name for limit, name in SIZES if number < limit), LARGEST)
    lines = [
        "---",
        "language: ja",
        # The licence of the LLM is named in the text; the hub's list has no word for its terms.
        "license: other",
        f"task_categories: [{kind}]",
        f"size_categories: [{size}]",
        "tags: [synthetic, japagen]",
        f"configs: [{{config_name: default, data_files: [{{split: train, path: {PARQUET}}}]}}]",
        "dataset_info:",
        "  features:",
        "  - {name: id, dtype: string}",
        *(f"  - {{name: {quoted(name)}, dtype: string}}" for name in task.inputs),
    ]
    if task.kind == "regression":
        lines.append("  - {name: label, dtype: float64}")
    else:
        lines += ["  - name: label", "    dtype:", "      class_label:", "        names:"]
        lines += [f"          '{n}': {quoted(label)}" for n, label in enumerate(task.labels)]
    if mixed:
        lines.append("  - {name: llm, dtype: string}")
    return [*lines, "---"]


def quoted(text: str) -> str:
    """Return a text as YAML reads it, whatever its characters."""
    return json.dumps(text, ensure_ascii=False)


def columns(task: Task, mixed: bool) -> list[str]:
    """Return what the columns hold; `mixed`: several LLMs wrote the rows."""
    texts = ", ".join(f"`{name}`" for name in task.inputs)
    labels = ", ".join(task.labels)
    kind = "a number" if task.kind == "regression" else f"a class of: {labels}"
    writer = ["Column `llm`: the LLM that wrote the row."] if mixed else []
    return [f"Columns: `id`, {texts}, and `label`, {kind}.", *writer]


def counts_of(manifest: Mapping[str, Any], label: str) -> str:
    """Return the rejections of one label on one line."""
    return (
        ", ".join(
            f"{reason} {count}" for reason, count in manifest["rejected"].get(label, {}).items()
        )
        or "none"
    )
