"""YAMLs from outside: no code that they name is imported, and one that cannot be read is named.

Hydra loads the files; which ones depends on defaults lists, packages and the search path. So each
file is checked where Hydra reads it, before anything is composed from it.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from japagen.config.schema import CONF
from japagen.config.target import target_problems
from japagen.job.argument import ASSIGNMENT

Load = Callable[[ConfigSource, str], ConfigResult]
TRUSTED = (f"file://{CONF}", "pkg://hydra.", "pkg://hydra_plugins.", "structured://")
# Options of Hydra that a YAML from outside may set. Others configure logging, whose handlers are
# classes and files, or callbacks.
HYDRA = (
    *("mode", "sweeper", "launcher", "run.dir", "sweep.dir", "sweep.subdir", "output_subdir"),
    *("job.name", "job.chdir", "verbose"),
)
PACKAGE = re.compile(r"@[\w.:]*\bhydra\b[\w.]*")  # of an entry in a defaults list


@contextlib.contextmanager
def checked(arguments: Sequence[str], refuse: Callable[[list[str]], object]) -> Iterator[None]:
    """In the body, a YAML from outside that names code is refused: `refuse` raises its problems."""
    Plugins.instance()  # registers the kinds of sources: files and packages
    kinds, allowed = SourcesRegistry.instance().types.values(), allowed_targets(arguments)
    with contextlib.ExitStack() as restored:
        for kind in kinds:
            restored.callback(setattr, kind, "load_config", kind.load_config)
            setattr(kind, "load_config", checking(kind.load_config, allowed, refuse))  # noqa: B010
        yield


def checking(load: Load, allowed: Sequence[str], refuse: Callable[[list[str]], object]) -> Load:
    """`load` of a source of configs, which also checks what it loads."""

    @functools.wraps(load)
    def load_config(source: ConfigSource, config_path: str) -> ConfigResult:
        where = f"{source.scheme()}://{source.path}"
        if is_trusted(where):
            return load(source, config_path)
        name = f"{where}/{config_path}".removeprefix("file://").removesuffix(".yaml") + ".yaml"
        try:
            found = load(source, config_path)
            content = OmegaConf.to_container(found.config, resolve=False)
        except UnicodeDecodeError as error:
            refuse([f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8"])
            raise
        except (yaml.YAMLError, ValueError, RecursionError, OmegaConfBaseException) as error:
            reason = " ".join(str(error).split())[:300]
            refuse([f"{name} cannot be read: {reason}. Quote texts that have : # or {{"])
            raise
        package = found.header.get("package") or ""
        if lines := list(code_problems(name, config_path, package, content, allowed)):
            refuse(list(dict.fromkeys(lines)))
        return found

    return load_config


def is_trusted(where: str) -> bool:
    """Whether a folder of configs is JapaGen's, Hydra's or of a plugin of Hydra."""
    return where == TRUSTED[0] or f"{where}.".startswith(TRUSTED[1:])


def code_problems(
    name: str, config_path: str, package: str, content: Any, allowed: Sequence[str]
) -> Iterator[str]:
    """What in a YAML could run code, write to files of its choice, or allow that."""
    for path in hydra_paths(config_path, package, content):
        if not any(f"{path}.".startswith(f"{key}.") for key in HYDRA):
            yield (
                f"{name} sets hydra.{path}; allowed in a YAML from outside: "
                f"{', '.join(f'hydra.{key}' for key in HYDRA)}. Type others on the command line"
            )
    for key, value in pairs(content):
        if key == "_target_":
            yield from target_problems(f"{name}: _target_", str(value), allowed)
        elif key == "allowed_targets":
            yield (
                f"{name} sets allowed_targets; allowed: only on the command line, "
                "allowed_targets=[PACKAGE]"
            )
        elif key == "()" or str(value).startswith("ext://"):
            yield f"{name} has '{key}: {str(value)[:60]}', which runs code in logging; remove it"


def hydra_paths(config_path: str, package: str, content: Any) -> Iterator[str]:
    """The options of Hydra that a YAML sets, without the `hydra.` before them."""
    place = config_path.replace("/", ".") if config_path.startswith("hydra/") else package
    place = place.removeprefix("_global_.")
    if place == "hydra" or place.startswith("hydra."):
        yield place.removeprefix("hydra").removeprefix(".") or "*"
    if not isinstance(content, dict):
        return
    for entry in PACKAGE.findall(str(content.get("defaults", ""))):
        yield entry.partition("hydra")[2].removeprefix(".") or "*"
    own = content.get("hydra")
    for key, value in own.items() if isinstance(own, dict) else ():
        inner = value if isinstance(value, dict) and value else {"": None}
        yield from (f"{key}.{last}".removesuffix(".") for last in inner)


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth; an item of a list has the key `-`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner
            yield from pairs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield "-", inner
            yield from pairs(inner)


def allowed_targets(arguments: Sequence[str]) -> list[str]:
    """The packages in `allowed_targets=[...]` on the command line."""
    values = [
        match[3]
        for argument in arguments
        if (match := ASSIGNMENT.fullmatch(argument)) and match[2] == "allowed_targets"
    ]
    return re.findall(r"[\w.]+", values[-1]) if values else []
