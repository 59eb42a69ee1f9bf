"""Shortcuts: how much of the label can be seen without understanding the text."""

from __future__ import annotations

from collections.abc import Sequence

from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.quality import classifier
from japagen.quality.data import by_label, groups
from japagen.quality.unit import characters, grams


def overlap(texts: Sequence[str]) -> float:
    """Lexical overlap of a pair, from 0 to 1.

    The share of the last text's character 2-grams that also occur in the first. Source: McCoy et
    al. 2019, "Right for the Wrong Reasons", where the units are words.
    """
    plain = characters(texts)
    first, last = grams(plain[:1], 2), grams(plain[-1:], 2)
    return sum(count for gram, count in last.items() if gram in first) / max(1, last.total())


def overlaps(rows: Sequence[Example], task: Task) -> dict[str, float]:
    """The mean overlap of each label's pairs; empty for single texts and labels without rows."""
    if len(task.inputs) < 2:
        return {}
    return {
        f"overlap/{label}": sum(overlap(row.texts) for row in own) / len(own)
        for label, own in by_label(rows, task).items()
        if own
    }


def numbers(texts: Sequence[str]) -> list[float]:
    """What the overlap-only classifier sees: the overlap in both directions and the lengths."""
    first, last = len(texts[0]), len(texts[-1])
    back = overlap((texts[-1], texts[0]))
    return [overlap(texts), back, float(first), float(last), float(last - first)]


def scores(rows: Sequence[Example], task: Task) -> dict[str, float]:
    """Balanced accuracies, from 0 to 1, of classifiers that see only a part of each row.

    `bag_of_characters` sees the character 1- to 3-grams of a single text. For pairs, `last_only`
    sees those of the last text and `overlap_only` the overlap and lengths. Chance is 1 / labels.
    Source: Poliak et al. 2018, "Hypothesis Only Baselines in Natural Language Inference".
    """
    labels = groups(rows, task)
    last = ["".join(characters(row.texts[-1:])) for row in rows]
    found = {
        ("bag_of_characters" if len(task.inputs) < 2 else "last_only"): classifier.score(
            classifier.characters(), last, labels
        )
    }
    if len(task.inputs) > 1:
        pairs = [numbers(row.texts) for row in rows]
        found["overlap_only"] = classifier.score(classifier.numbers(), pairs, labels)
    return {name: value for name, value in found.items() if value is not None}
