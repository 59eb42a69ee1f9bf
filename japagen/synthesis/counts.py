"""Counts of replies by label and reason."""

from __future__ import annotations

from collections.abc import Mapping


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return counts with the most frequent first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts by reason on one line, the most frequent first."""
    return ", ".join(f"{reason} {count}" for reason, count in by_count(counts)) or "none"
