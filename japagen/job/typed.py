"""What was typed to start this job: on a command line, or as a call in Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import ListConfig, OmegaConf

from japagen.config.secret import hidden_values

# The overrides and the folder of --config-dir ("" for none) of a call in Python.
CALL: ContextVar[tuple[tuple[str, ...], str]] = ContextVar("CALL", default=((), ""))


@contextlib.contextmanager
def called(words: Sequence[str], folder: str) -> Iterator[None]:
    """Note a call in Python for the commands that are printed and stored while it runs."""
    token = CALL.set((tuple(words), folder))
    try:
        yield
    finally:
        CALL.reset(token)


def typed(overrides: Iterable[object]) -> list[str]:
    """The overrides as typed, to be stored or printed.

    References such as ${oc.env:NAME} stay references, because their values may be secrets.
    """
    if isinstance(overrides, ListConfig):
        overrides = OmegaConf.to_container(overrides, resolve=False)  # type: ignore[assignment]
    return [hidden_values(str(word)) for word in overrides]


def task_overrides() -> list[str]:
    """The overrides of this job; none if it is neither a command nor a call of the Python API."""
    if HydraConfig.initialized():
        return typed(HydraConfig.get().overrides.task)
    return typed(CALL.get()[0])


def config_dir_flag() -> list[str]:
    """--config-dir as it was typed, so that the command finds a task from outside."""
    if not HydraConfig.initialized():
        return ["--config-dir", folder] if (folder := CALL.get()[1]) else []
    return [
        word
        for source in HydraConfig.get().runtime.config_sources
        if source.provider == "command-line"
        for word in ("--config-dir", source.path)
    ]
