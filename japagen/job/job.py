"""How a job begins and ends: its error in its own log and on the console, hints for what Hydra refuses."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import re
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import CONF, Config

log = logging.getLogger(__name__)


@contextlib.contextmanager
def job() -> Iterator[None]:
    """Run a job: its error goes to its own log and the console at once; errors of disk and permission become one message.

    In a sweep the error is raised again, so that Hydra marks the job as failed and goes on with the others.
    """
    colour(logging.getLogger())
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield
    except KeyboardInterrupt:
        log.warning("stopped; what was whole is kept, the same command goes on where it can")
        raise SystemExit(130) from None
    except UserError as error:
        fail(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT):
            log.exception("the job failed")
            raise
        where = error.filename or "a file"
        mend = (
            "Free space or mend the permission, then type the same command: what was whole is kept."
        )
        fail(UserError(f"cannot write {where}: {error.strerror}. {mend}"))
    except Exception:
        log.exception("the job failed")
        raise


class Coloured(logging.Formatter):
    """Lines as `plain` formats them: warnings in yellow, errors in red."""

    def __init__(self, plain: logging.Formatter) -> None:
        super().__init__()
        self.plain = plain

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        line = self.plain.format(record)
        code = (
            31
            if record.levelno >= logging.ERROR
            else 33
            if record.levelno >= logging.WARNING
            else 0
        )
        return f"\x1b[{code}m{line}\x1b[0m" if code else line


def colour(logger: logging.Logger) -> None:
    """Colour what `logger` writes to a terminal (not with NO_COLOR); files and pipes stay plain."""
    for handler in logger.handlers:
        stream, plain = getattr(handler, "stream", None), handler.formatter
        if (
            plain
            and not isinstance(plain, Coloured)
            and stream
            and stream.isatty()
            and not os.environ.get("NO_COLOR")
        ):
            handler.setFormatter(Coloured(plain))


def fail(error: UserError) -> None:
    """Log `error`; end the program where it is the only job, so that Hydra does not print it a second time."""
    log.error("%s", error)
    if HydraConfig.get().mode == RunMode.MULTIRUN or os.environ.get("HYDRA_FULL_ERROR"):
        raise error
    raise SystemExit(1)


@contextlib.contextmanager
def command(schema: type[Config], told: str | None) -> Iterator[None]:
    """Around Hydra's main: our own --help, and after Hydra's message for an option it refuses, which one was probably meant."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print("\n".join(help_lines(schema, told or "")))
        raise SystemExit(0)
    try:
        yield
    except SystemExit as stop:
        if stop.code not in (None, 0):
            for line in override_hints(sys.argv[1:], schema):
                print(line, file=sys.stderr)
        raise


def override_hints(argv: Iterable[str], schema: type[Config]) -> Iterator[str]:
    """A line for each `key=value` of `argv` whose key or whose group's choice is unknown."""
    arguments = list(argv)
    for argument in arguments:
        found = re.fullmatch(r"\+{0,2}([\w./]+)(?:@[\w.]+)?=(.*)", argument)
        if found is None:
            continue
        key, value = found.groups()
        choices = group_choices(key, arguments)
        for choice in value.split(",") if choices else []:
            if choice not in choices and choice not in ("", "null"):
                yield f"{key}={choice} is unknown; choices: {', '.join(sorted(choices))}{did_you_mean(choice, choices)}"
        if not choices and not key.startswith("hydra"):
            yield from key_hint(key, schema)


def group_choices(group: str, argv: list[str]) -> set[str]:
    """The YAMLs of a config group, of ours and of --config-dir."""
    folders = [CONF]
    for flag, value in zip(argv, [*argv[1:], ""], strict=True):
        if flag in ("--config-dir", "-cd"):
            folders.append(Path(value).expanduser())
        elif flag.startswith("--config-dir="):
            folders.append(Path(flag.partition("=")[2]).expanduser())
    return {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}


def key_hint(key: str, schema: type[Any]) -> Iterator[str]:
    """A line where a part of the dotted `key` is no field of `schema`."""
    part, _, rest = key.partition(".")
    fields = {item.name: item for item in dataclasses.fields(schema)}
    if part not in fields:
        yield f"{part} is not an option; options: {', '.join(sorted(fields))}{did_you_mean(part, fields)}"
    elif rest:
        factory = fields[part].default_factory
        if isinstance(factory, type) and dataclasses.is_dataclass(factory):
            yield from key_hint(rest, factory)


def help_lines(schema: type[Config], told: str) -> Iterator[str]:
    """What the command does and every choice and option it knows."""
    script, argv = Path(sys.argv[0]).name, sys.argv[1:]
    yield f"{told}\n\nusage: python {script} [NAME=VALUE ...]      with -m a sweep: NAME=VALUE,VALUE ...\n\nGroups, one YAML each in conf/:"
    fields = dataclasses.fields(schema)
    groups = {
        item.name: sorted(group_choices(item.name, argv))
        for item in fields
        if "help" not in item.metadata
    }
    for name, choices in groups.items():
        if choices:
            yield textwrap.fill(
                " ".join(choices), 110, initial_indent=f"  {name:<18}", subsequent_indent=" " * 20
            )
    yield "\nOptions:"
    for item in fields:
        if "help" in item.metadata:
            default = "" if item.default in (None, dataclasses.MISSING) else f" [{item.default}]"
            yield f"  {item.name:<18}{item.metadata['help']}{default}"
    yield f"""
Every key of a group can be set, too: {script} task.clean.max_chars=80; +llm.sampling.top_k=40 adds one.
  --cfg job         the whole configuration this command would run with; --info defaults: where it comes from
  --config-dir DIR  more YAMLs, e.g. DIR/task/weather.yaml
  --hydra-help      options of Hydra; -sc install=bash: shell completion"""
