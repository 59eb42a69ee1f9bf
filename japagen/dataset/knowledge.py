"""knowledge.yaml: the slot values that an LLM proposed for a dataset, for a person to edit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from japagen import files
from japagen.config.error import UserError

KNOWLEDGE = "knowledge.yaml"
HEAD = """# Slot values of prompt=knowledge, proposed by an LLM. Edit `values` before the first
# row is written: a dataset never mixes rows of different values.
"""


def write(path: Path, values: Sequence[str], llm: str, tokens: Sequence[int]) -> None:
    """Write the values, with who proposed them and the tokens of prompts and replies."""
    content = {"values": list(values), "llm": llm, "tokens": list(tokens)}
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100)
    files.write_whole(path, HEAD + text)


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of the file, None if there is none. UserError for other content."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not YAML in UTF-8: {' '.join(str(error).split())}") from error
    values = content.get("values") if isinstance(content, dict) else None
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise UserError(f"{path} must have `values:` with a list of texts, e.g. values: [犬, 猫]")
    if len(set(values)) < max(2, len(values)):
        raise UserError(f"{path} must have two or more values, each once; delete repeated ones")
    return {"values": values, "tokens": content.get("tokens", [0, 0])}


def fact(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a journal and a manifest say about the values."""
    text = json.dumps(content["values"], ensure_ascii=False)
    return {"digest": hashlib.sha256(text.encode()).hexdigest()[:16], **content}


def check(folder: Path, known: Mapping[str, Any]) -> None:
    """Raise UserError if the file in `folder` has other values than those that were used.

    `known`: what the journal or the manifest of the folder says.
    """
    used, found = known.get("knowledge"), read(folder / KNOWLEDGE)
    if used is None or found is None or fact(found)["digest"] == used["digest"]:
        return
    raise UserError(
        f"{folder / KNOWLEDGE} was edited after rows were written with other values. To begin "
        f"again with the edited values, delete journal.jsonl, train.jsonl and manifest.json in "
        f"this folder; to keep the rows, put these values back: {', '.join(used['values'])}"
    )
