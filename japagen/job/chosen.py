"""The YAMLs that a command chooses: mistakes in a task, and code that one from outside names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from japagen.config.schema import CONF
from japagen.config.target import target_problems
from japagen.config.task_file import file_problems
from japagen.job.argument import ASSIGNMENT, config_folders


def chosen_problems(arguments: Sequence[str]) -> Iterator[str]:
    """Problems of the chosen tasks, and of every chosen YAML that is not in conf/."""
    allowed = allowed_targets(arguments)
    for group, path in chosen(arguments):
        if group == "task":
            yield from file_problems(path)
        if not path.is_relative_to(CONF):
            yield from code_problems(path, allowed)


def chosen(arguments: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """(group, file) of each `group=choice`, and of the files in their defaults lists."""
    folders, seen = config_folders(arguments), set[Path]()
    found = [match for argument in arguments if (match := ASSIGNMENT.fullmatch(argument))]
    waiting = [
        (match[2], choice)
        for match in found
        for choice in re.split(r"[,\s()\[\]]+", match[3].replace('"', "").replace("'", ""))
    ]
    while waiting:
        group, choice = waiting.pop(0)
        paths = [folder / group / f"{choice}.yaml" for folder in folders]
        path = next((path for path in paths if choice and path.is_file()), None)
        if path is not None and path not in seen:
            seen.add(path)
            yield group, path
            waiting += defaults(path, group)


def defaults(path: Path, group: str) -> Iterator[tuple[str, str]]:
    """(group, choice) of each entry in the defaults list of a YAML."""
    content = load(path)
    entries = content.get("defaults") if isinstance(content, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        for name, choice in entry.items() if isinstance(entry, dict) else [(group, entry)]:
            # `override /llm@llm: x` names the group llm.
            bare = str(name).rpartition(" ")[2].partition("@")[0]
            yield (bare[1:] if bare.startswith("/") else bare), str(choice)


def code_problems(path: Path, allowed: Sequence[str]) -> Iterator[str]:
    """Code that the YAML would run, and an attempt to allow it."""
    try:
        found = list(pairs(load(path)))
    except RecursionError:
        yield f"{path} refers to itself (&NAME inside *NAME); allowed: each value once"
        return
    for key, value in found:
        if key == "_target_":
            yield from target_problems(f"{path}: _target_", str(value), allowed)
        elif key == "allowed_targets":
            yield (
                f"{path} sets allowed_targets; allowed: only on the command line, "
                "allowed_targets=[PACKAGE]"
            )


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner
            yield from pairs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from pairs(inner)


def load(path: Path) -> Any:
    """The content of a YAML, or None if it cannot be read, which Hydra will say."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return None


def allowed_targets(arguments: Sequence[str]) -> list[str]:
    """The packages in `allowed_targets=[...]` on the command line."""
    values = [
        match[3]
        for argument in arguments
        if (match := ASSIGNMENT.fullmatch(argument)) and match[2] == "allowed_targets"
    ]
    return re.findall(r"[\w.]+", values[-1]) if values else []
