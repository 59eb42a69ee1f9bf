"""Mistakes in the YAML of a task, with file, line and key, before anything is composed from it."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from japagen.config.error import did_you_mean
from japagen.config.task import Task

TAG = "tag:yaml.org,2002:"
# What YAML reads where no quotes are, in words.
KINDS = {
    "bool": "a truth value",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}
INTERPOLATION = re.compile(r"(?<!\\)\$\{")


def file_problems(path: Path) -> Iterator[str]:
    """What is wrong with the YAML of a task at `path`, a line each."""
    try:
        node = yaml.compose(path.read_bytes().decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        yield (
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8, e.g. iconv -f "
            f"ENCODING -t UTF-8 {path.name} > new.yaml with its encoding: CP932, EUC-JP, UTF-16"
        )
        return
    except (yaml.YAMLError, RecursionError) as error:
        yield f"{path} is not YAML: {' '.join(str(error).split())}. Quote texts that have : # or {{"
        return
    if node is not None:
        yield from (f"{path}, {line}" for line in node_problems(node, Task, ""))


def node_problems(node: yaml.Node, kind: Any, key: str) -> Iterator[str]:
    """What of `node`, at `key`, is not of the type `kind`."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if tag(node) == "null":
            return
        kind = next(choice for choice in typing.get_args(kind) if choice is not type(None))
    if dataclasses.is_dataclass(kind):
        yield from mapping_problems(node, typing.get_type_hints(kind), key)
    elif typing.get_origin(kind) is dict:
        yield from mapping_problems(node, typing.get_args(kind)[1], key)
    elif typing.get_origin(kind) is list:
        if not isinstance(node, yaml.SequenceNode):
            yield f"{at(node)}: {key} must be a list, e.g. {key.rpartition('.')[2]}: [A, B]"
            return
        for item in node.value:
            yield from node_problems(item, typing.get_args(kind)[0], key)
    elif not isinstance(node, yaml.ScalarNode):
        yield f"{at(node)}: {key} must be {'a text' if kind is str else 'a number'}, not a list"
    elif kind is str:
        # A column may be given by its position.
        if not (key.startswith("gold.columns.") and tag(node) == "int"):
            yield from text_problems(node, key)
    elif kind is bool:
        if tag(node) != "bool":
            yield f"{at(node)}: {key} is '{node.value}'; it must be true or false"
    elif tag(node) not in ("int", "float") and node.value != "???":
        yield f"{at(node)}: {key} is '{node.value}'; it must be a number, e.g. {key}: 1"


def mapping_problems(node: yaml.Node, kinds: Any, key: str) -> Iterator[str]:
    """`kinds`: the type of each known key, or one type for the values of all keys."""
    if not isinstance(node, yaml.MappingNode):
        yield f"{at(node)}: {key or 'the file'} must have keys, e.g. name: ..."
        return
    seen = set[str]()
    for name, value in node.value:
        inner = f"{key}.{name.value}".lstrip(".")
        if name.value in seen:
            yield f"{at(name)}: the key {inner} is there twice; keep one of them"
        seen.add(name.value)
        if not isinstance(kinds, dict):
            yield from text_problems(name, f"the key {inner}")
            yield from node_problems(value, kinds, inner)
        elif name.value in kinds:
            yield from node_problems(value, kinds[name.value], inner)
        elif (key, name.value) != ("", "defaults"):
            yield (
                f"{at(name)}: {inner} is not a key of a task{did_you_mean(name.value, kinds)}; "
                f"allowed: {', '.join(kinds)}"
            )


def text_problems(node: yaml.Node, key: str) -> Iterator[str]:
    """What is no text, or would be replaced."""
    if not isinstance(node, yaml.ScalarNode):
        yield f"{at(node)}: {key} must be a text, not a list or a mapping"
    elif tag(node) in KINDS:
        cure = f'"{node.value}"' if node.value else '""'
        yield (
            f"{at(node)}: {key} has {node.value or 'no value'}, which YAML reads as "
            f"{KINDS[tag(node)]}; it must be a text: quote it, {cure}"
        )
    elif INTERPOLATION.search(node.value):
        yield (
            f"{at(node)}: {key} contains ${{, which marks a reference to another option or an "
            "environment variable; allowed: plain text. For the characters themselves write \\${"
        )


def tag(node: yaml.Node) -> str:
    """The type that YAML gives the node, e.g. bool."""
    return str(node.tag).removeprefix(TAG)


def at(node: yaml.Node) -> str:
    """Where the node begins."""
    return f"line {node.start_mark.line + 1}"
