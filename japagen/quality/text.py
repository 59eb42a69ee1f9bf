"""Measures of text alone: no model, no optional package, seconds for any dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from japagen.gold.example import Example
from japagen.quality import distance, diversity, shortcut, telling
from japagen.quality.data import SAMPLE, Data, by_label, groups, matched, some
from japagen.quality.measured import Measured
from japagen.quality.unit import Row, characters
from japagen.text.content import letters


def measure(found: Measured) -> None:
    """Add to `found` the measures over characters."""
    data = found.data
    found.metrics["rows"] = float(len(data.rows))
    repetition(found)
    script(found)
    leaked(found)
    variety(found)
    lexical(found)
    if data.gold:
        from_gold(found)


def plain(rows: Sequence[Example]) -> list[tuple[str, ...]]:
    """The texts of the rows in NFKC."""
    return [characters(row.texts) for row in rows]


def alike(data: Data) -> tuple[list[Example], list[Example]]:
    """Equally many rows and gold rows in random order; without gold, (rows, none)."""
    number = min(len(data.rows), len(data.gold)) if data.gold else len(data.rows)
    number = min(number, diversity.ROWS)
    return some(data.rows, number), some(data.gold, number)


def repetition(found: Measured) -> None:
    """Duplicates of every row; and of equally many rows and gold rows, to compare them.

    The share grows with the number of rows.
    """
    data = found.data
    repeated = diversity.duplicates(plain(data.rows))
    for place, reason in repeated.items():
        words = {"duplicate": "equal to an earlier row", "near_duplicate": "nearly an earlier row"}
        found.suspect(place, words[reason])
    found.metrics |= diversity.shares(repeated, len(data.rows))
    if not data.gold:
        return
    number = min(len(data.rows), len(data.gold))
    compared = [("gold_", data.gold)]
    if number < len(data.rows):
        compared.append(("compared_", data.rows))
    for prefix, rows in compared:
        kept = plain(some(rows, number))
        shares = diversity.shares(diversity.duplicates(kept), number)
        found.metrics |= {f"{prefix}{name}": value for name, value in shares.items()}


def script(found: Measured) -> None:
    """`japanese/LABEL`: the share, from 0 to 1, of rows whose texts all have kana or kanji."""
    task, data = found.data.task, found.data
    for place, row in enumerate(data.rows):
        if not distance.japanese(row.texts):
            found.suspect(place, "a text without kana or kanji")
    for prefix, rows in (("", data.rows), ("gold_", some(data.gold))):
        for label, own in by_label(rows, task).items():
            if own:
                share = sum(distance.japanese(row.texts) for row in own) / len(own)
                found.metrics[f"{prefix}japanese/{label}"] = share


def leaked(found: Measured) -> None:
    """`in_gold`: the share, from 0 to 1, of rows whose texts are those of a gold test row.

    Only letters and digits are compared, as where train.py leaves such rows out.
    """
    known = {letters(row.texts) for row in found.data.test}
    if not known:
        return
    same = [place for place, row in enumerate(found.data.rows) if letters(row.texts) in known]
    for place in same:
        found.suspect(place, "equal to a gold test row")
    found.metrics["in_gold"] = len(same) / max(1, len(found.data.rows))


def variety(found: Measured) -> None:
    """Diversity over characters, and the mean length, of rows and of as many gold rows."""
    for prefix, rows in zip(("", "gold_"), alike(found.data), strict=True):
        if rows:
            texts = plain(rows)
            own = diversity.measure(texts, "")
            own["compression"] = diversity.compression(texts)
            own["length"] = sum(distance.lengths(texts)) / len(texts)
            found.metrics |= {f"{prefix}{name}": value for name, value in own.items()}


def lexical(found: Measured) -> None:
    """Overlap of pairs by label, and the n-grams most telling of each label."""
    data = found.data
    rows, gold = matched(data) if data.gold else (some(data.rows), [])
    own = {label: plain(kept) for label, kept in by_label(rows, data.task).items()}
    found.telling = telling.find(own)
    theirs = {label: plain(kept) for label, kept in by_label(gold, data.task).items()}
    for prefix, best in (("", found.telling), ("gold_", telling.find(theirs))):
        for label, ranked in best.items():
            if ranked:
                found.metrics[f"{prefix}telling/{label}"] = ranked[0].value
    for prefix, kept in (("", rows), ("gold_", gold)):
        overlaps = shortcut.overlaps(kept, data.task)
        found.metrics |= {f"{prefix}{name}": value for name, value in overlaps.items()}
    if len(data.task.inputs) > 1:
        for row, label in zip(rows, groups(rows, data.task), strict=True):
            found.overlaps.setdefault(label, []).append(shortcut.overlap(row.texts))


def from_gold(found: Measured) -> None:
    """Distances from gold over characters."""
    rows, gold = matched(found.data)
    if not rows:  # no label has both
        return
    texts, theirs = plain(rows), plain(gold)
    found.lengths = {"synthetic": distance.lengths(texts), "gold": distance.lengths(theirs)}
    found.metrics["length_distance"] = distance.wasserstein(*found.lengths.values())
    found.metrics["overlap_3"] = distance.overlap(texts, theirs, 3)
    found.metrics |= divergences(found.data, plain, 2, "")


def divergences(
    data: Data, cut: Callable[[Sequence[Example]], Sequence[Row]], n: int, prefix: str
) -> dict[str, float]:
    """Divergences from gold of n-grams, label by label; `cut` gives the units of rows."""
    both = (data.rows, data.gold)
    own, theirs = (
        {
            label: cut(some(kept, SAMPLE // len(data.task.labels)))
            for label, kept in by_label(rows, data.task).items()
        }
        for rows in both
    )
    return distance.by_label(own, theirs, n, prefix)
