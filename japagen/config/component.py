"""A class that a YAML names by `_target_`: found, checked against its own signature, and made.

A group of such classes (conf/loss, conf/data) needs no table: the YAML names the class, the class
declares its options, and a new one is one file plus one YAML.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_class

from japagen.config.error import Unusable, UserError, did_you_mean
from japagen.config.schema import CONF, Config, TrainConfig
from japagen.config.target import target_problems


def find(group: str, options: Mapping[str, Any], packages: Sequence[str] = ()) -> type[Any]:
    """Return the class that `options` name; UserError if it cannot be imported.

    `packages`: those besides japagen that it may come from.

    The module must be called like the YAML: with two names for one thing, `loss.name=huber` would
    be recorded while another loss is trained with.
    """
    name, target = options.get("name"), str(options.get("_target_") or "")
    module = target.rpartition(".")[0].rpartition(".")[2]
    if module != name:
        raise UserError(
            f"{group}.name is '{name}', but the class {target or 'of this YAML'} is in the module "
            f"'{module}'. To use another {group} type {group}={name}; in a YAML of your own, name "
            f"the module like the YAML"
        )
    for problem in target_problems(f"{group}._target_", target, packages):
        raise UserError(problem)
    try:
        found: type[Any] = get_class(target)
    except Exception as error:
        raise UserError(
            f"{group}={name}: cannot import {target} ({error}). `_target_` must be the dotted name "
            f"of a class"
        ) from error
    return found


def make(
    group: str, options: Mapping[str, Any], packages: Sequence[str] = ()
) -> tuple[Any | None, list[str]]:
    """Return (an instance of the class that `options` name, []), or (None, what is wrong)."""
    try:
        cls = find(group, options, packages)
    except UserError as error:
        return None, [str(error)]
    given = {key: value for key, value in options.items() if key != "_target_"}
    problems = list(option_problems(group, cls, given))
    if problems:
        return None, problems
    try:
        return cls(**given), []
    except Unusable as error:
        return None, [str(error)]


def make_all(config: Config) -> Iterator[str]:
    """Replace the options of `data` and `loss` in a TrainConfig by objects; yield problems."""
    if not isinstance(config, TrainConfig):
        return
    packages, kind = config.allowed_targets, config.task.kind
    data, data_problems = make("data", config.data, packages)
    loss, loss_problems = make("loss", config.loss, packages)
    yield from (*data_problems, *loss_problems)
    if loss is not None:
        if loss.kind not in (None, kind):
            known = all_of(CONF / "loss").items()
            allowed = [name for name, cls in known if cls.kind in (None, kind)]
            near = did_you_mean(loss.name, allowed)
            yield f"loss is '{loss.name}'; allowed for {kind}: {', '.join(allowed)}{near}"
        if loss.class_weights and kind != "classification":
            yield f"loss.class_weights is for classification; task {config.task.name} is {kind}"
        if data is not None:
            yield from loss.problems(data)
    config.data, config.loss = data or config.data, loss or config.loss


def option_problems(group: str, cls: type[Any], given: Mapping[str, Any]) -> Iterator[str]:
    """Say which options are unknown, absent, of a wrong type or out of range."""
    fields = {item.name: item for item in dataclasses.fields(cls)}
    hints, name = typing.get_type_hints(cls), given.get("name")
    for key in given.keys() - fields.keys():
        known = sorted(fields.keys() - {"name"})
        yield (
            f"{group}.{key} is not an option of {group}={name}; "
            f"options: {', '.join(known)}{did_you_mean(key, known)}"
        )
    for key, item in fields.items():
        example = (
            "" if item.default is dataclasses.MISSING else f", e.g. {group}.{key}={item.default}"
        )
        if key not in given:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                yield f"{group}={name} needs {group}.{key}"
        elif not fits(given[key], hints[key]):
            wanted = " or ".join(word(kind) for kind in parts(hints[key]))
            yield f"{group}.{key} is {given[key]!r}; it must be {wanted}{example}"
        else:
            limits = item.metadata.get("limits")
            if limits and given[key] is not None and not limits.allow(given[key]):
                yield f"{group}.{key} is {given[key]}; it must be {limits}{example}"


def parts(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the one type."""
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def word(kind: Any) -> str:
    """Return what a type is called in a YAML."""
    names = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
    return "null" if kind is type(None) else names.get(kind, str(kind))


def fits(value: object, hint: Any) -> bool:
    """Whether a value of a YAML is of the type that a field declares; only scalars are checked."""
    for kind in parts(hint):
        if kind not in (float, int, str, bool, type(None)):
            return True
        allowed = (int, float) if kind is float else kind
        if isinstance(value, allowed) and (kind is bool or not isinstance(value, bool)):
            return True
    return False


def all_of(folder: Path) -> dict[str, type[Any]]:
    """Return the class of each YAML in a folder of conf/, by name; used only in messages."""
    found: dict[str, type[Any]] = {}
    for path in sorted(folder.glob("*.yaml")):
        options = yaml.safe_load(path.read_text(encoding="utf-8"))
        found[path.stem] = find(folder.name, options)
    return found
