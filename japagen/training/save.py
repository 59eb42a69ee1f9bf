"""The folder of a trained student."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from japagen import tracking
from japagen.config.schema import TrainConfig
from japagen.dataset import identity
from japagen.training.score import Rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from japagen.training.module import Module

EXAMPLE = "公園で子どもたちが遊んでいます。"  # what a served student is shown to be asked


def save(
    config: TrainConfig,
    name: str,
    module: Module,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    part: Path,
) -> Path:
    """The student's folder: what transformers opens, predictions.jsonl, and japagen.json, which says how to use it."""
    folder, new = Path(config.student_dir) / name, part / "student"
    module.finished().save_pretrained(new)
    tokenizer.save_pretrained(new)
    task = {
        key: getattr(config.task, key) for key in ("name", "kind", "inputs", "metric", "labels")
    }
    card = {
        "task": task,
        "student": asdict(config.student),
        "data": asdict(config.data),
        "seed": config.training_seed,
    }
    card |= {"source": origin(config), "method": tracking.method(config, "train")}
    (new / "japagen.json").write_text(
        json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
    )
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (new / "predictions.jsonl").write_text("".join(lines), encoding="utf-8")
    if config.logger.name != "none":
        columns = (
            [("predicted", "double")]
            if config.task.kind == "regression"
            else [("predicted", "string"), ("probability", "double")]
        )
        tracking.describe(new, dict.fromkeys(config.task.inputs, EXAMPLE), columns)
    if folder.exists():
        folder.rename(part / "old")
    new.rename(folder)
    return folder


def origin(config: TrainConfig) -> dict[str, str | int]:
    """What wrote the rows that the student was trained on; nothing for gold."""
    if config.data.name in ("gold", "few_gold"):
        return {}
    named: dict[str, str | int] = {
        "llm": config.llm.name,
        "prompt": config.prompt.name,
        "filter": config.filter.name,
    }
    return {
        **named,
        "shots": config.shots,
        "num_per_label": config.num_per_label,
        "fingerprint": identity.of(config).fingerprint,
    }
