"""Measure a dataset: the cheap part, and the whole with words, classifiers and vectors."""

from __future__ import annotations

from collections.abc import Sequence

from japagen.gold.example import Example
from japagen.quality import classifier, distance, diversity, embedded, shortcut, text, unit
from japagen.quality.data import SAMPLE, Data, in_order, matched
from japagen.quality.measured import Measured
from japagen.quality.unit import Row


def cheap(data: Data) -> Measured:
    """The measures of text alone: no model and no optional package."""
    found = Measured(data)
    text.measure(found)
    return found


def whole(data: Data, embedded_rows: int) -> Measured:
    """All measures; vectors of at most `embedded_rows` rows and gold rows, none with 0.

    What needs a package that is not installed is left out, with a note.
    """
    found = cheap(data)
    worded(found)
    classified(found)
    if embedded_rows:
        embedded.measure(found, embedded_rows)
    return found


def worded(found: Measured) -> None:
    """Add the measures over MeCab's words."""
    lines = [unit.missing(package) for package in ("fugashi", "unidic_lite")]
    if line := next(filter(None, lines), ""):
        found.notes.append(f"words: not measured. {line}")
        return
    cut = unit.words()

    def rows_of(rows: Sequence[Example]) -> list[Row]:
        return [cut(row.texts) for row in rows]

    lengths = list[list[int]]()
    for prefix, rows in zip(("", "gold_"), text.alike(found.data), strict=True):
        if rows:
            words = rows_of(rows)
            lengths.append(distance.lengths(words))
            own = diversity.measure(words, "word_")
            own["word_length"] = sum(lengths[-1]) / len(words)
            found.metrics |= {f"{prefix}{name}": value for name, value in own.items()}
    if len(lengths) == 2:
        found.metrics["word_length_distance"] = distance.wasserstein(*lengths)
        found.metrics |= text.divergences(found.data, rows_of, 1, "word_")


def classified(found: Measured) -> None:
    """Add the scores of cheap classifiers, beside those on gold rows."""
    data = found.data
    rows, gold = matched(data) if data.gold else (in_order(data.rows, SAMPLE), [])
    for prefix, kept in (("", rows), ("gold_", gold)):
        scores = shortcut.scores(kept, data.task) if kept else {}
        found.metrics |= {f"{prefix}{name}": value for name, value in scores.items()}
    one, other = (["\n".join(row) for row in text.plain(kept)] for kept in (rows, gold))
    apart = classifier.separation(classifier.characters(), one, other)
    if apart is not None:
        found.metrics["two_sample_auc"] = apart
