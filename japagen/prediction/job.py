"""What identifies a job: its input, its student and the options that change the output."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.student import backend
from japagen.student.card import CARD

FORMAT = 1  # raise it if parts of an earlier version can no longer be continued
HEAD = 1 << 20  # bytes
SUFFIXES = (".safetensors", ".bin", ".onnx", ".data", ".xml", ".json", ".txt", ".model")


def identity(source: Path, student: Path, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same for a job to continue, as JSON values. `name`: the backend."""
    stat = source.stat()
    with source.open("rb") as file:
        head = hashlib.sha256(file.read(HEAD)).hexdigest()
    return {
        "format": FORMAT,
        "input": str(source.resolve()),
        "input size": stat.st_size,
        "input modified": stat.st_mtime_ns,
        "input start": head,
        "student": str(student.resolve()),
        "student card": hashlib.sha256((student / CARD).read_bytes()).hexdigest(),
        "student files": files(student, name),
        "backend": name,
        **options,
    }


def files(student: Path, name: str) -> dict[str, list[int]]:
    """Return the size and time of the files that the backend `name` and the tokenizer read."""
    folders = {student, (student / backend.BACKENDS[name].file).parent}
    found = [path for folder in folders for path in folder.iterdir() if path.suffix in SUFFIXES]
    return {
        str(path.relative_to(student)): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(found)
        if path.name != CARD
    }


def check_same(old: Mapping[str, Any], new: Mapping[str, Any], output: Path, parts: Path) -> None:
    """Raise UserError that names what differs between the job of the parts and this one."""
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        lines = [f"  {key}: {old.get(key)} there, {new.get(key)} here" for key in changed]
        raise UserError(
            f"{parts} has the unfinished output of another job. What differs:\n"
            + "\n".join(line if len(line) < 300 else line[:297] + "..." for line in lines)
            + f"\nRepeat the command of that job, delete {parts}, or name another --output "
            f"than {output}"
        )
