"""The YAMLs that a command chooses: mistakes in a task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from japagen.config.task_file import file_problems
from japagen.job.argument import ASSIGNMENT, config_folders, read_yaml


def chosen_problems(arguments: Sequence[str]) -> Iterator[str]:
    """Problems of the chosen tasks."""
    for group, path in chosen(arguments):
        if group == "task":
            yield from file_problems(path)


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
    content = read_yaml(path)
    entries = content.get("defaults") if isinstance(content, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        for name, choice in entry.items() if isinstance(entry, dict) else [(group, entry)]:
            # `override /llm@llm: x` names the group llm.
            bare = str(name).rpartition(" ")[2].partition("@")[0]
            yield (bare[1:] if bare.startswith("/") else bare), str(choice)
