"""Test leakage: find and leave out training rows that duplicate gold test rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from japagen.gold.example import Example
from japagen.text.content import letters
from japagen.text.duplicate import Seen

log = logging.getLogger(__name__)


def without(
    rows: Sequence[Example], test: Sequence[Example], near: float
) -> tuple[list[Example], dict[str, int]]:
    """Return (the rows that are not in `test`, how many were left out: "same" and "near").

    Of a pair both texts must be the same. `near`: a row at least this similar (0 to 1) is left out,
    too; see text.duplicate.Seen. 0: only rows with the same text.
    """
    seen, kept, counts = Seen(near), list[Example](), {"same": 0, "near": 0}
    for row in test:
        seen.add(letters(row.texts))
    for row in rows:
        reason = seen.reason(letters(row.texts))
        if reason:
            counts["same" if reason == "duplicate" else "near"] += 1
        else:
            kept.append(row)
    return kept, counts


def report(source: str, rows: int, counts: dict[str, int]) -> None:
    """Log how many rows of a source were left out, if any."""
    if any(counts.values()):
        log.warning(
            "%s: %d of %d rows are left out (test leakage): %d have the text of a gold test row, "
            "%d nearly (data.near_duplicate)",
            *(source, sum(counts.values()), rows, counts["same"], counts["near"]),
        )
