"""Diversity of the rows, over characters or words; each measure depends on the number of rows."""

from __future__ import annotations

import gzip
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from japagen.quality.bleu import self_bleu
from japagen.quality.data import SEED
from japagen.quality.unit import Row, grams, total
from japagen.text.duplicate import Seen

ROWS = 1000  # rows of distinct n-grams, compression and self-repetition
BLEU_ROWS = 500  # rows of self-BLEU
CHECKED = 20_000  # rows that are compared with all earlier ones
NEAR = 0.7  # estimated Jaccard similarity of character 3-grams of two near duplicates
REPEATED = {"": 8, "word_": 4}  # characters and words of an n-gram of self-repetition


def measure(rows: Sequence[Row], prefix: str) -> dict[str, float]:
    """Measures over characters (`prefix` is "") or words ("word_"), by name."""
    few = rows[:ROWS]
    found = {f"{prefix}distinct_{n}": distinct(few, n) for n in (1, 2, 3)}
    found[f"{prefix}diversity"] = 1 - self_bleu(rows[:BLEU_ROWS])
    found[f"{prefix}self_repetition"] = self_repetition(few, REPEATED[prefix])
    return found


def distinct(rows: Sequence[Row], n: int) -> float:
    """Distinct-n, from 0 to 1: different n-grams / all n-grams; 1 where none comes twice.

    Source: Li et al. 2016, "A Diversity-Promoting Objective Function".
    """
    counts = total(rows, n)
    return len(counts) / max(1, counts.total())


def compression(rows: Sequence[Sequence[str]]) -> float:
    """Compression ratio, from about 1 upwards: bytes of the rows / bytes of them in gzip.

    Higher is more repetitive. Japanese prose has about 2 to 4. Source: Shaib et al. 2024,
    "Standardizing the Measurement of Text Diversity".
    """
    text = "\n".join("\t".join(row) for row in rows[:ROWS]).encode()
    return len(text) / len(gzip.compress(text, mtime=0)) if text else 0.0


def self_repetition(rows: Sequence[Row], n: int) -> float:
    """Self-repetition, from 0 upwards: the mean over rows of ln(1 + k).

    k is the number of a row's n-grams that occur in another row. Higher is more repetitive.
    Source: Salkar et al. 2022, "Self-Repetition in Abstractive Neural Summarizers".
    """
    counts = [grams(row, n) for row in rows]
    holders: Counter[Any] = Counter(gram for row in counts for gram in row)
    logs = [
        math.log1p(sum(count for gram, count in row.items() if holders[gram] > 1)) for row in counts
    ]
    return sum(logs) / max(1, len(logs))


def duplicates(rows: Sequence[Sequence[str]]) -> dict[int, str]:
    """Place of each row that repeats an earlier one -> "duplicate" or "near_duplicate".

    White space does not count. Near duplicates have an estimated Jaccard similarity of character
    3-grams of at least 0.7. At most 20,000 rows, drawn at random, are compared with all earlier
    ones, or the time would grow faster than the number of rows. Source: MinHash, Broder 1997, "On
    the resemblance and containment of documents".
    """
    seen, found = Seen(NEAR), dict[int, str]()
    checked = set(random.Random(SEED).sample(range(len(rows)), min(len(rows), CHECKED)))
    for place, texts in enumerate(rows):
        plain = tuple("".join(text.split()) for text in texts)
        if seen.known(plain)[0] in seen.exact:
            found[place] = "duplicate"
        elif place in checked and (reason := seen.reason(plain)):
            found[place] = reason
        seen.add(plain)
    return found


def shares(repeated: dict[int, str], rows: int) -> dict[str, float]:
    """The shares, from 0 to 1, of rows equal to an earlier row, and equal or nearly equal.

    The second is an estimate where more than 20,000 rows are not compared.
    """
    exact = sum(reason == "duplicate" for reason in repeated.values()) / max(1, rows)
    near = sum(reason != "duplicate" for reason in repeated.values())
    return {"duplicates": exact, "near_duplicates": exact + near / max(1, min(rows, CHECKED))}
