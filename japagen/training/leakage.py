"""Training rows that the gold test rows give away: found, counted, left out."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence

from japagen.gold.example import Example
from japagen.text.duplicate import Seen

log = logging.getLogger(__name__)

NO_LETTER = re.compile(r"[\W_]+")


def without(
    rows: Sequence[Example], test: Sequence[Example], near: float
) -> tuple[list[Example], dict[str, int]]:
    """(the rows that are no test row, how many were left out: `same`, `near`).

    Of a pair both texts must be the same. `near`: from which similarity on a row counts as the same, see duplicate.Seen.
    """
    seen, kept, counts = Seen(near), list[Example](), {"same": 0, "near": 0}
    for row in test:
        seen.add(bare(row))
    for row in rows:
        reason = seen.reason(bare(row))
        if reason:
            counts["same" if reason == "duplicate" else "near"] += 1
        else:
            kept.append(row)
    return kept, counts


def bare(row: Example) -> list[str]:
    """The letters and digits of each text: NFKC, without spaces, punctuation and signs; a text of nothing else stays as it is."""
    forms = [unicodedata.normalize("NFKC", text) for text in row.texts]
    return [NO_LETTER.sub("", form) or form for form in forms]


def report(source: str, rows: int, counts: dict[str, int]) -> None:
    """Say it where any row was left out."""
    if any(counts.values()):
        log.warning(
            "%s: %d of %d rows are not trained on: %d have the text of a gold test row, %d nearly (data.near_duplicate)",
            *(source, sum(counts.values()), rows, counts["same"], counts["near"]),
        )
