"""check(cfg, schema): the config as dataclasses, or one error with all its problems."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from japagen.config import component, published
from japagen.config.check_task import task_problems
from japagen.config.error import UserError
from japagen.config.limit import limit_problems
from japagen.config.name import folder_name_problems
from japagen.config.schema import Config
from japagen.config.secret import remember_all

C = TypeVar("C", bound=Config)
# Groups whose name becomes a part of a folder name.
FOLDERS = ("task", "llm", "prompt", "filter", "student")
INTERPOLATION = re.compile(r"(?<!\\)(?:\\\\)*\$\{")
SURROGATE = re.compile("[\ud800-\udfff]")


def check(cfg: DictConfig, schema: type[C]) -> C:
    """Return `cfg` as the dataclass `schema`, or raise one UserError that lists every problem."""
    # First: a reference that OmegaConf does not know raises an error of its own below.
    refuse(interpolation_problems(OmegaConf.to_container(cfg.task, resolve=False), "task"))
    try:
        refuse(missing_problems(cfg))
        config = cast(C, OmegaConf.to_object(cfg))
    except OmegaConfBaseException as error:
        raise unresolved(error) from error
    if not isinstance(config, schema):
        raise TypeError(f"expected {schema.__name__}, got {type(config).__name__}")
    remember_all(dataclasses.asdict(config))
    config.llm = config.llm.joined()
    from_file = config.prompt.path is not None
    if config.prompt.path is not None:
        config.task = published.read(config.prompt.path, config.task)
    elif config.prompt.name == "japagen_json":
        raise UserError("prompt=japagen_json needs a prompt file: add prompt.path=FILE")
    refuse(
        [
            *name_problems({name: getattr(config, name, None) for name in FOLDERS}),
            *task_problems(config.task, from_file),
            *surrogate_problems(dataclasses.asdict(config), ""),
            *component.make_all(config),
            *limit_problems(config),
            *config.prompt.problems(config.task, config.shots, config.shots_scope),
            *config.llm.problems(config.allowed_targets),
            *config.filter.problems(bool(config.llm.writers)),
            *config.select.problems(config.task, config.prompt),
            *config.knowledge.problems(config.task, config.prompt),
            *config.logger.problems(),
            *config.problems(),
        ]
    )
    if config.prompt.name == "zero_shot" and config.shots > 0:
        # The prompt is the same text either way, so it must be the same dataset.
        config = dataclasses.replace(
            config, prompt=dataclasses.replace(config.prompt, name="few_shot")
        )
    return config


def refuse(problems: Iterable[str]) -> None:
    """Raise one UserError with a line for each of `problems`, if there are any."""
    if lines := list(problems):
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise UserError(
            "\n".join([f"{count} in the configuration:", *(f"  - {line}" for line in lines)])
        )


def unresolved(error: OmegaConfBaseException) -> UserError:
    """The error for a reference to something that does not exist, or that has another type."""
    key, first = error.full_key or "an option", str(error).splitlines()[0]
    return UserError(
        f"{key} has no value: {first}. Allowed: a value, ${{NAME}} of another option, or "
        "${oc.env:NAME} of a variable that is set (export NAME=...)"
    )


def missing_problems(cfg: DictConfig) -> Iterator[str]:
    """Options without a value, and what to type."""
    for key in sorted(str(key) for key in OmegaConf.missing_keys(cfg)):
        server = key == "llm.model" and cfg.llm.get("base_url") is not None
        value = "NAME llm.base_url=http://HOST:PORT/v1" if server else "VALUE"
        yield f"{key} is missing: add {key}={value}, or set it in the YAML of its group"


def interpolation_problems(value: Any, key: str) -> Iterator[str]:
    """Texts that OmegaConf would replace, e.g. by the value of an environment variable."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from interpolation_problems(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from interpolation_problems(inner, f"{key}[{number}]")
    elif isinstance(value, str) and INTERPOLATION.search(value):
        yield (
            f"{key} contains ${{...}}, which would be replaced by other options or environment "
            "variables; allowed: plain text. For these characters themselves write \\${"
        )


def surrogate_problems(value: Any, key: str) -> Iterator[str]:
    """Texts with half a character, which no file takes; YAML and JSON write it as \\ud83d."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from surrogate_problems(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from surrogate_problems(inner, f"{key}[{number}]")
    elif isinstance(value, str) and (found := SURROGATE.search(value)):
        yield f"{key} contains {found[0]!a}, half a character; write the whole character"


def name_problems(groups: dict[str, Any]) -> Iterator[str]:
    """Names of the chosen groups that cannot be a part of a folder name."""
    for key, group in groups.items():
        name = getattr(group, "name", None)  # evaluate.py's `student` has none
        if name is not None:
            yield from folder_name_problems(f"{key}.name", name)
