"""Arguments of a command that cannot be right, and what was probably meant."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from japagen.config.credential import credential_problems
from japagen.config.error import did_you_mean
from japagen.config.schema import CONF, Config

ASSIGNMENT = re.compile(r"(\+{0,2})([\w.][\w./-]*)(?:@[\w.]+)?=(.*)", re.DOTALL)
# Parts of a value in which Hydra's grammar allows characters other than ASCII.
QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\$\{[^}]*\}")


def argument_problems(arguments: Sequence[str], schema: type[Config]) -> Iterator[str]:
    """A line for each of `arguments` that the command would refuse, and for typed secrets."""
    yield from credential_problems(arguments)
    # Choices of other folders than ours and --config-dir are not known here.
    elsewhere = any("hydra.searchpath" in argument for argument in arguments)
    for before, argument in zip(["", *arguments], arguments, strict=False):
        found = ASSIGNMENT.fullmatch(argument)
        if argument.lstrip("+~").startswith("="):
            yield f"{argument} has no name before '='; type NAME=VALUE"
        if argument.startswith("--") and found is None:
            yield from flag_problems(argument, schema)
        elif "=" not in argument and argument[:1] not in ("-", "~") and before[:1] != "-":
            yield (
                f"{argument!r} is not an option: type NAME=VALUE, for example task=jnli; quote a "
                "text with spaces"
            )
        elif found is not None and not elsewhere and not found[2].startswith("hydra"):
            yield from assignment_problems(found[2], found[3], arguments, schema)


def flag_problems(flag: str, schema: type[Config]) -> Iterator[str]:
    """Options typed with dashes, e.g. --dry-run or --num-per-label=3."""
    name, _, value = flag[2:].partition("=")
    known = {item.name: item for item in dataclasses.fields(schema)}
    if (key := name.replace("-", "_")) in known:
        example = value or ("true" if isinstance(known[key].default, bool) else "VALUE")
        yield f"{flag} is not an option; options have no dashes: type {key}={example}"


def assignment_problems(
    key: str, value: str, arguments: Sequence[str], schema: type[Config]
) -> Iterator[str]:
    """An unknown key, an unknown choice of a group, or a value that must be quoted."""
    if "-" in key and "/" not in key:
        yield f"{key} is not an option; names have underscores: type {key.replace('-', '_')}=..."
        return
    choices = group_choices(key, arguments)
    if choices:
        yield from choice_problems(key, value, choices)
    else:
        yield from key_problems(key, schema)
        yield from open_group_problems(key, arguments, schema)
    plain = QUOTED.sub("", value)
    # Quotes do not make an unknown choice a known one.
    if not plain.isascii() and not choices:
        first = next(character for character in plain if ord(character) > 127)
        yield f"{key} has {first!r} without quotes: type {quoted(key, value)}, with both quotes"


def quoted(key: str, value: str) -> str:
    """`key=value` as it must be typed: one pair of quotes for the shell and one for Hydra."""
    if value[:1] in "[{(":
        return f"""'{key}={value[0]}"...", "..."{value[-1]}'"""
    # Hydra reads backslashes as they are, except before a quote.
    text = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + (found[2] and '\\"'), value)
    text = text.replace("'", "'\\''")
    return f"""'{key}="{text}"'"""


def choice_problems(group: str, value: str, choices: set[str]) -> Iterator[str]:
    """Choices that have no YAML. Functions of Hydra's grammar, as choice(a,b), are not checked."""
    if (names := re.fullmatch(r"\[([\w.,\s+-]*)\]", value)) is not None:
        yield from list_problems(group, [name.strip() for name in names[1].split(",")])
    if re.search(r"[(){}\[\]$*/]", value):
        return
    for choice in value.split(","):
        choice = choice.strip("'\" ")
        if choice not in choices and choice not in ("", "null"):
            yield (
                f"{group}={choice} is unknown; choices: {', '.join(sorted(choices))}"
                f"{did_you_mean(choice, sorted(choices))}"
            )


def list_problems(group: str, names: Sequence[str]) -> Iterator[str]:
    """A list of choices, which Hydra would merge into one; for LLMs, how to use several."""
    if len(names) < 2:
        return
    places = ("first", "second", "third", "fourth")
    if group == "llm" and len(names) <= len(places):
        words = [
            f"{'+' if number > 1 else ''}llm@llm.writers.{place}={name}"
            for number, (place, name) in enumerate(zip(places, names, strict=False))
        ]
        advice = f"for one dataset by several LLMs type llm=mixed {' '.join(words)}"
    else:
        advice = f"allowed: one choice, e.g. {group}={names[0]}"
    yield f"{group}=[{','.join(names)}] is a list; {advice}; for a sweep, -m {group}=A,B"


def key_problems(key: str, schema: type[Any]) -> Iterator[str]:
    """A line where a part of the dotted `key` is not a field of `schema`."""
    part, _, rest = key.partition(".")
    fields = {item.name: item for item in dataclasses.fields(schema)}
    if part not in fields:
        yield (
            f"{part} is not an option; options: {', '.join(sorted(fields))}"
            f"{did_you_mean(part, fields)}"
        )
    elif rest:
        factory = fields[part].default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory):
            yield from key_problems(rest, factory)
        elif part == "writers":
            yield from writer_problems(rest, schema)


def writer_problems(key: str, schema: type[Any]) -> Iterator[str]:
    """A line for a wrong option of one of the LLMs of llm=mixed; `schema`: that of an LLM."""
    name, _, option = key.partition(".")
    if option:
        yield from key_problems(option, schema)
    else:
        where = f"llm.writers.{name}"
        yield f"{where} is a whole LLM; to choose one, type llm@{where}=NAME"


def open_group_problems(key: str, arguments: Sequence[str], schema: type[Config]) -> Iterator[str]:
    """A line for an option that no YAML of a group has whose classes declare their own options."""
    group, _, option = key.partition(".")
    factory = {item.name: item for item in dataclasses.fields(schema)}.get(group)
    shared = factory.default_factory() if factory and callable(factory.default_factory) else None
    if not option or not isinstance(shared, dict):
        return
    known = set(shared)
    for folder in config_folders(arguments):
        for path in (folder / group).glob("*.yaml"):
            content = read_yaml(path)
            known |= set(content) if isinstance(content, dict) else set()
    if option not in known:
        names = sorted(name for name in known if not name.startswith("_"))
        yield (
            f"{key} is not an option; options of {group}: {', '.join(names)}"
            f"{did_you_mean(option, names)}"
        )


def read_yaml(path: Path) -> Any:
    """The content of a YAML, or None if it cannot be read, which Hydra's reading will say."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):  # 2020-13-45 is no date
        return None


def config_folders(arguments: Sequence[str]) -> list[Path]:
    """Folders of --config-dir in `arguments`, and conf/."""
    folders = []
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if flag in ("--config-dir", "-cd"):
            folders.append(Path(value).expanduser())
        elif flag.startswith("--config-dir="):
            folders.append(Path(flag.partition("=")[2]).expanduser())
    return [*folders, CONF]


def group_choices(group: str, arguments: Sequence[str]) -> set[str]:
    """The names of the YAMLs of a config group."""
    folders = config_folders(arguments)
    return {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
