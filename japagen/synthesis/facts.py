"""What a dataset's journal holds besides replies: measured once, then used by every process."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from japagen.dataset.journal import Journal


class Facts:
    """The values that a journal has under names of their own, e.g. the verifier's reliability."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.known: dict[str, Any] = {}

    def report(self) -> dict[str, Any]:
        """Return the values for the manifest: all but those of single rounds."""
        return {key: value for key, value in self.known.items() if "/" not in key}

    async def once(self, key: str, measuring: Coroutine[Any, Any, Any]) -> Any:
        """Return what the journal has under `key`; if it has nothing, measure it and write it."""
        if key in self.known:
            measuring.close()
        else:
            self.record(key, await measuring)
        return self.known[key]

    def record(self, key: str, value: Any) -> None:
        """Write a value to the journal."""
        self.known[key] = value
        self.journal.write({key: value})
