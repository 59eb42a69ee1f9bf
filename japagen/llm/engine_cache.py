"""Engine cache: keep one loaded model for the next job of this process that asks for the same."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar


class Started(Protocol):
    """A loaded engine or a running server."""

    def alive(self) -> bool:
        """Whether it can still answer."""

    def close(self) -> None:
        """Stop it and free its memory."""


S = TypeVar("S", bound=Started)


class EngineCache:
    """Holds one engine; two would compete for the same GPU, so another one closes it first."""

    def __init__(self) -> None:
        self.key = ""
        self.engine: Started | None = None

    def get(
        self, kind: type[S], model: str, options: Mapping[str, Any], make: Callable[[], S]
    ) -> S:
        """The engine that an earlier job started from the same model and options, or a new one."""
        key = json.dumps([model, dict(options)], sort_keys=True, default=str)
        if isinstance(self.engine, kind) and self.key == key and self.engine.alive():
            return self.engine
        self.close()
        made = make()
        self.key, self.engine = key, made
        atexit.unregister(self.close)
        atexit.register(self.close)
        return made

    def close(self) -> None:
        """Stop the engine in the cache."""
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.close()


# The only state that outlives a job: a sweep is one process, and loading a large model again for
# each of its jobs would take minutes.
CACHE = EngineCache()
