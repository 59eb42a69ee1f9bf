"""The faults of a dataset in plain words, from its measures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from japagen.quality.data import groups
from japagen.quality.measured import Measured
from japagen.quality.telling import Telling

# A measure is a fault only if it is worse than gold's by so much: real text has near duplicates,
# doubted labels and shortcuts too. Chosen on planted faults in gold train rows.
POOR = 0.8  # share of gold's diversity
REPEATED = 0.05  # more near duplicates, as a share of the rows
DOUBTED = 0.1  # more doubted labels, as a share of the rows of a label
FOREIGN = 0.1  # more rows without Japanese, as a share of the rows of a label
TELLING = 0.5  # of a label's rows have an n-gram that other rows lack
FURTHER = 0.2  # above gold's best n-gram
EASIER = 0.15  # more balanced accuracy of a classifier that sees only a part
SHARED = 0.3  # between the mean overlap of a label's pairs and that of gold
APART = 0.9  # area under the curve of the two-sample test
COVERED = 0.6  # share of gold's own coverage
AGREED = 0.7  # share of rows that another judge labels the same
FEW = 10  # rows of a label, and gold rows of it, below which it is not judged
SEVERAL = 2  # rows that are at fault, at least: one may be chance
# Standard errors by which a figure of few rows must be worse, too: the worst of many is compared.
ERRORS = 2.5

FRACTIONS = (
    (0.07, "almost none"),
    (0.15, "a tenth"),
    (0.22, "a fifth"),
    (0.29, "a quarter"),
    (0.42, "a third"),
    (0.58, "half"),
    (0.71, "two thirds"),
    (0.8, "three quarters"),
)


class Verdict(NamedTuple):
    """One line about one side of a dataset; `is_fault` says whether there is something to fix."""

    is_fault: bool
    text: str


def verdicts(found: Measured) -> list[Verdict]:
    """The verdicts, faults first; a side without a fault has one line that says so."""
    lines = list[Verdict]()
    for side in (diversity, duplicates, labels, script, shortcuts, overlap, distance, leakage):
        lines += side(found)
    return sorted(lines, key=lambda line: not line.is_fault)


def compared(found: Measured) -> Counter[str]:
    """The rows of each label that measures beside gold are made of: as many as both have."""
    own = Counter(groups(found.data.rows, found.data.task))
    return own & Counter(groups(found.data.gold, found.data.task)) if found.data.gold else own


def margin(least: float, number: int) -> float:
    """The difference of two shares of `number` rows that is more than chance; `least` or more."""
    return max(least, ERRORS * math.sqrt(0.5 / max(1, number)))


def percent(share: float) -> str:
    """A share as a percentage; small ones with a digit."""
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def diversity(found: Measured) -> Iterator[Verdict]:
    """Diversity beside that of as many gold rows."""
    known = found.metrics
    own, gold = known.get("diversity"), known.get("gold_diversity")
    if own is None:
        return
    if not gold:
        yield Verdict(own < 0.15, f"diversity: {own:.2f} of 1; no gold rows to compare with")
        return
    ratio = own / gold
    word = next((name for most, name in FRACTIONS if ratio < most), "")
    values = f"1 - self-BLEU {own:.2f}, gold {gold:.2f}"
    if ratio < POOR:
        yield Verdict(True, f"diversity: {word} of gold's ({values})")
    else:
        yield Verdict(False, f"diversity: like gold's ({values})")


def duplicates(found: Measured) -> Iterator[Verdict]:
    """Near duplicates beside those of gold."""
    every = found.metrics["near_duplicates"]
    own = found.metrics.get("compared_near_duplicates", every)
    gold = found.metrics.get("gold_near_duplicates", 0.0)
    of = f"; of as many as gold has: {percent(own)}" if own != every else ""
    beside = f" (gold: {percent(gold)})" if found.data.gold else ""
    text = (
        f"duplicates: {percent(every)} of the rows repeat an earlier row or nearly so{of}{beside}"
    )
    number = min(len(found.data.rows), len(found.data.gold) or len(found.data.rows))
    several = (own - gold) * number >= SEVERAL
    yield Verdict(several and own - gold >= REPEATED, text)


def labels(found: Measured) -> Iterator[Verdict]:
    """Doubted labels, and agreement with other judges."""
    known, faults = found.metrics, 0
    for label, number in found.doubts.checked.items():
        own, gold = known.get(f"issues/{label}", 0.0), known.get(f"gold_issues/{label}", 0.0)
        if own - gold >= DOUBTED and number >= FEW and (own - gold) * number >= SEVERAL:
            faults += 1
            beside = f" (gold: {percent(gold)})" if f"gold_issues/{label}" in known else ""
            yield Verdict(True, f"labels: {percent(own)} of '{label}' are doubted{beside}")
    if found.doubts.checked and not faults:
        whole = known.get("gold_issues")
        beside = "" if whole is None else f" (gold: {percent(whole)})"
        hidden = "; a shortcut can hide wrong labels" if any(read_offs(found)) else ""
        yield Verdict(False, f"labels: {percent(known['issues'])} are doubted{beside}{hidden}")
    judges = {"label_correctness": "the student", "llm_agreement": "the LLM asked again"}
    for name, judge in judges.items():
        if (agreed := known.get(name)) is not None and found.data.task.kind == "classification":
            right = known.get("student_accuracy") if name == "label_correctness" else None
            beside = "" if right is None else f"; its accuracy on gold is {right:.2f}"
            text = f"labels: {judge} agrees with {percent(agreed)} of the labels{beside}"
            yield Verdict(agreed < AGREED * (1.0 if right is None else right), text)


def script(found: Measured) -> Iterator[Verdict]:
    """Labels whose texts are not Japanese."""
    every, both = Counter(groups(found.data.rows, found.data.task)), compared(found)
    for label in found.data.task.labels:
        own = found.metrics.get(f"japanese/{label}", 1.0)
        gold = found.metrics.get(f"gold_japanese/{label}", 1.0)
        enough = both[label] >= FEW and (1 - own) * every[label] >= SEVERAL
        if enough and gold - own >= FOREIGN:
            text = f"language: {percent(1 - own)} of '{label}' have a text without kana or kanji"
            yield Verdict(True, f"{text} (gold: {percent(1 - gold)})" if found.data.gold else text)


def shortcuts(found: Measured) -> Iterator[Verdict]:
    """N-grams from which a label can be read off, and classifiers that see only a part."""
    known, faults, numbers = found.metrics, 0, compared(found)
    for line in read_offs(found):
        faults += 1
        yield Verdict(True, line)
    seen = {
        "bag_of_characters": "a classifier of character 1- to 3-grams",
        "last_only": "a classifier that sees only the last text of a pair",
        "overlap_only": "a classifier that sees only overlap and lengths",
    }
    for name, what in seen.items():
        own, theirs = known.get(name), known.get(f"gold_{name}")
        if own is None or theirs is None or min(numbers.values(), default=0) < FEW:
            continue
        if own - theirs >= margin(EASIER, numbers.total()):
            faults += 1
            yield Verdict(True, f"shortcuts: {what} scores {own:.2f} (gold: {theirs:.2f})")
    if max(numbers.values(), default=0) >= FEW and found.telling and not faults:
        what = (
            "no n-gram or part of a row tells much more than in gold"
            if found.data.gold
            else f"no n-gram is in {percent(TELLING)} more of a label's rows than of the others"
        )
        yield Verdict(False, f"shortcuts: {what}")


def read_offs(found: Measured) -> Iterator[str]:
    """A line for each label that can be read off an n-gram."""
    numbers = compared(found)
    for label, ranked in found.telling.items():
        if numbers[label] < FEW:
            continue
        gold = found.metrics.get(f"gold_telling/{label}", 0.0)
        if ranked and ranked[0].value >= max(TELLING, gold + margin(FURTHER, numbers[label])):
            yield read_off(label, ranked[0], gold if found.data.gold else None)


def read_off(label: str, one: Telling, gold: float | None) -> str:
    """The line about an n-gram from which a label can be read off."""
    text = (
        f"shortcuts: the label '{label}' can be read off '{one.gram.strip()}', which is in "
        f"{percent(one.inside)} of its rows and in {percent(one.outside)} of the others"
    )
    return text if gold is None else f"{text} (gold's most telling n-gram: {percent(gold)} apart)"


def overlap(found: Measured) -> Iterator[Verdict]:
    """Labels whose pairs have far more or fewer n-grams in common than gold's."""
    numbers = compared(found)
    for label in found.data.task.labels:
        own = found.metrics.get(f"overlap/{label}")
        gold = found.metrics.get(f"gold_overlap/{label}")
        if own is None or gold is None or numbers[label] < FEW:
            continue
        if abs(own - gold) >= SHARED:
            yield Verdict(
                True,
                f"overlap: the second texts of '{label}' share {percent(own)} of their 2-grams "
                f"with the first (gold: {percent(gold)})",
            )


def distance(found: Measured) -> Iterator[Verdict]:
    """Distance from gold."""
    known, faults = found.metrics, 0
    if compared(found).total() < 2 * FEW:
        return
    apart = max(known.get("two_sample_auc", 0.0), known.get("two_sample_vectors_auc", 0.0))
    if apart >= APART:
        faults += 1
        yield Verdict(
            True,
            f"distance: a classifier tells a synthetic row from a gold row in {percent(apart)} "
            "of pairs (50 % is chance)",
        )
    own, gold = known.get("coverage"), known.get("gold_coverage")
    if own is not None and gold is not None and own < COVERED * gold:
        faults += 1
        text = f"distance: the rows cover {percent(own)} of gold (gold itself: {percent(gold)})"
        yield Verdict(True, text)
    if apart and not faults:
        text = f"distance: a classifier tells rows from gold in {percent(apart)} of pairs"
        yield Verdict(False, f"{text} (50 % is chance)")


def leakage(found: Measured) -> Iterator[Verdict]:
    """Rows that are gold test rows."""
    if share := found.metrics.get("in_gold"):
        yield Verdict(True, f"leakage: {percent(share)} of the rows are gold test rows")
