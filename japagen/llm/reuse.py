"""One model that is dear to start, kept between the jobs of a process that ask for the same."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar


class Started(Protocol):
    """Something that was started: a server or an engine."""

    def alive(self) -> bool:
        """Whether it can still answer."""

    def close(self) -> None:
        """Stop it and free its memory."""


S = TypeVar("S", bound=Started)


class Keep:
    """A place for one thing. Two would compete for the same GPU, so the next one closes it."""

    def __init__(self) -> None:
        self.key = ""
        self.thing: Started | None = None

    def get(
        self, kind: type[S], model: str, options: Mapping[str, Any], make: Callable[[], S]
    ) -> S:
        """What an earlier job started from the same model and options, or a new one."""
        key = json.dumps([model, dict(options)], sort_keys=True, default=str)
        if isinstance(self.thing, kind) and self.key == key and self.thing.alive():
            return self.thing
        self.close()
        made = make()
        self.key, self.thing = key, made
        atexit.unregister(self.close)
        atexit.register(self.close)
        return made

    def close(self) -> None:
        """Stop what is kept."""
        thing, self.thing = self.thing, None
        if thing is not None:
            thing.close()


# The one state that outlives a job: a sweep is one process, and loading a large model again for each job takes minutes.
KEPT = Keep()
