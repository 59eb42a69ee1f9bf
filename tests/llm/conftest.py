"""Fixtures for tests of engines."""

from __future__ import annotations

import pytest

from japagen.llm import retry


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float | None]]:
    """Shorten the pauses between tries to 20 ms; (failed tries, retry_after) of each pause."""
    asked: list[tuple[int, float | None]] = []

    def pause(failed: int, retry_after: float | None) -> float:
        asked.append((failed, retry_after))
        return 0.02

    monkeypatch.setattr(retry, "pause", pause)
    return asked
