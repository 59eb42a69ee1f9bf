"""The text of --help."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence

from japagen.config.schema import Config
from japagen.job.argument import group_choices


def help_lines(
    schema: type[Config], about: str, program: str, arguments: Sequence[str]
) -> Iterator[str]:
    """What the command does, and every choice and option that it has."""
    yield about
    yield f"\nusage: {program} [NAME=VALUE ...]      with -m a sweep: NAME=VALUE,VALUE ..."
    yield "\nGroups, one YAML each in conf/:"
    fields = dataclasses.fields(schema)
    for item in fields:
        choices = [] if "help" in item.metadata else sorted(group_choices(item.name, arguments))
        if choices:
            yield textwrap.fill(
                " ".join(choices),
                100,
                initial_indent=f"  {item.name:<18}",
                subsequent_indent=" " * 20,
            )
    yield "\nOptions:"
    for item in fields:
        if "help" in item.metadata:
            default = "" if item.default in (None, dataclasses.MISSING) else f" [{item.default}]"
            yield f"  {item.name:<18}{item.metadata['help']}{default}"
    yield f"""
Every key of a group is an option as well: {program} task.clean.max_chars=80
A + adds a key: +llm.sampling.top_k=40
  --cfg job         the whole configuration of this command; --info defaults: where it comes from
  --config-dir DIR  more YAMLs, e.g. DIR/task/weather.yaml
  --hydra-help      options of Hydra; -sc install=bash: shell completion"""
