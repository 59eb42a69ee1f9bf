"""The quality of a synthetic dataset: diversity, distance from gold, duplicates, labels."""

from __future__ import annotations

import math
import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from japagen.config.task import Task
from japagen.gold import example, metric
from japagen.gold.example import Example
from japagen.text.duplicate import Seen

# All n-grams are of characters: Japanese has no spaces to split at.
SAMPLE = 1000  # rows of the distinct n-gram ratios, which fall as a dataset grows
BLEU_ROWS = 200  # rows of self-BLEU
ORDERS = (1, 2, 3, 4)  # its n-grams
NEAR = 0.7  # Jaccard similarity of character 3-grams from which on two rows are near duplicates

Texts = Sequence[str]


def grams(texts: Texts, n: int) -> Counter[str]:
    """The character n-grams of a row; none spans two texts."""
    plain = [unicodedata.normalize("NFKC", text) for text in texts]
    return Counter(text[place : place + n] for text in plain for place in range(len(text) - n + 1))


def total(rows: Iterable[Texts], n: int) -> Counter[str]:
    """The n-grams of all rows."""
    found: Counter[str] = Counter()
    for texts in rows:
        found.update(grams(texts, n))
    return found


def distinct(rows: Sequence[Texts], n: int) -> float:
    """Distinct n-grams per n-gram: 1 where none comes twice."""
    counts = total(rows, n)
    return len(counts) / max(1, counts.total())


def self_bleu(rows: Sequence[Texts]) -> float:
    """Self-BLEU (Zhu et al. 2018) over characters, without brevity penalty, from 0 to 1.

    The BLEU of each row against all others, on average. SacreBLEU gives nearly the same (0.676
    and 0.673 on 200 rows of JNLI), but counts the other rows again for each row: 100 times slower.
    """
    precisions = [list(shares(rows, n)) for n in ORDERS]
    if len(rows) < 2:
        return 0.0
    scores = [
        math.exp(sum(math.log(max(share, 1e-9)) for share in row) / len(row))
        for row in zip(*precisions, strict=True)
    ]
    return sum(scores) / len(scores)


def shares(rows: Sequence[Texts], n: int) -> Iterator[float]:
    """For each row the share of its n-grams in other rows, clipped to the highest count in one."""
    counts = [grams(texts, n) for texts in rows]
    first: Counter[str] = Counter()  # the highest count of a gram in a row, and the second highest
    second: Counter[str] = Counter()
    for row in counts:
        for gram, count in row.items():
            first[gram], second[gram] = sorted((first[gram], second[gram], count), reverse=True)[:2]
    for row in counts:
        held = sum(
            min(count, second[gram] if count == first[gram] else first[gram])
            for gram, count in row.items()
        )
        yield held / max(1, row.total())


def divergence(one: Counter[str], other: Counter[str]) -> float:
    """The Jensen-Shannon divergence of two counts, from 0 (alike) to 1 (nothing in common)."""
    sums, found = (max(1, one.total()), max(1, other.total())), 0.0
    for gram in one.keys() | other.keys():
        p, q = one[gram] / sums[0], other[gram] / sums[1]
        mean = (p + q) / 2
        found += sum(share * math.log2(share / mean) for share in (p, q) if share) / 2
    return found


def duplicates(rows: Sequence[Texts]) -> tuple[float, float]:
    """(share of rows equal to an earlier row, share of rows equal or nearly equal to one)."""
    exact, near, seen = 0, 0, Seen(NEAR)
    for texts in rows:
        plain = tuple("".join(unicodedata.normalize("NFKC", text).split()) for text in texts)
        reason = seen.reason(plain)
        exact, near = exact + (reason == "duplicate"), near + (reason == "near_duplicate")
        seen.add(plain)
    return exact / max(1, len(rows)), (exact + near) / max(1, len(rows))


def lengths(rows: Sequence[Texts]) -> list[int]:
    """Characters of each row."""
    return [sum(len(text) for text in texts) for texts in rows]


def sample(rows: Sequence[Example], number: int) -> list[Texts]:
    """The texts of at most `number` rows, always the same ones."""
    return [row.texts for row in random.Random(0).sample(list(rows), min(number, len(rows)))]


def diversity(rows: Sequence[Example], number: int) -> dict[str, float]:
    """Distinct n-grams, and 1 - self-BLEU, of at most `number` rows."""
    some = sample(rows, number)
    found = {f"distinct_{n}": distinct(some[:SAMPLE], n) for n in (1, 2, 3)}
    return {
        **found,
        "diversity": 1 - self_bleu(some[:BLEU_ROWS]),
        "length": sum(lengths(some)) / max(1, len(some)),
    }


def by_label(rows: Sequence[Example], task: Task) -> dict[str, list[Example]]:
    """The rows of each label; for regression of the nearest level."""
    found: dict[str, list[Example]] = {label: [] for label in task.labels}
    for row in rows:
        found[example.nearest(row.label, task) if task.kind == "regression" else row.label].append(
            row
        )
    return found


def distance(rows: Sequence[Example], real: Sequence[Example], task: Task) -> dict[str, float]:
    """Distances between rows and gold: of lengths, and of n-grams label by label.

    `length_distance`: Wasserstein distance in characters. `divergence`: Jensen-Shannon, beside
    `gold_divergence`, which is that of two halves of gold.
    """
    from scipy.stats import wasserstein_distance

    known = total((row.texts for row in real), 3)
    ours = total((row.texts for row in rows), 3)
    found = {
        "length_distance": float(
            wasserstein_distance(
                lengths([row.texts for row in rows]), lengths([row.texts for row in real])
            )
        ),
        "overlap_3": sum(count for gram, count in ours.items() if gram in known)
        / max(1, ours.total()),
    }
    apart, floor = dict[str, float](), list[float]()
    theirs = by_label(real, task)
    for label, some in by_label(rows, task).items():
        # The divergence of few rows is high: compare equally many, with gold itself as the floor.
        size = min(len(some), len(theirs[label]) // 2)
        if size:
            chosen = sample(theirs[label], 2 * size)
            apart[label] = divergence(total(sample(some, size), 2), total(chosen[:size], 2))
            floor.append(divergence(total(chosen[size:], 2), total(chosen[:size], 2)))
    if apart:
        found |= {
            "divergence": sum(apart.values()) / len(apart),
            "gold_divergence": sum(floor) / len(floor),
        }
    return {**found, **{f"divergence/{label}": value for label, value in apart.items()}}


def measure(rows: Sequence[Example], real: Sequence[Example], task: Task) -> dict[str, float]:
    """All measures that need no student. Those that begin with gold_ are of gold rows."""
    number = min(len(rows), len(real)) if real else len(rows)
    found = {"rows": float(len(rows)), **diversity(rows, number)}
    found["duplicates"], found["near_duplicates"] = duplicates([row.texts for row in rows])
    if real:
        found |= {f"gold_{name}": value for name, value in diversity(real, number).items()}
        known = {row.texts for row in real}
        found["in_gold"] = sum(row.texts in known for row in rows) / len(rows)
        found |= distance(rows, real, task)
    return found


def label_correctness(
    rows: Sequence[Example], predicted: Sequence[object], task: Task
) -> dict[str, float]:
    """Agreement of a student's predictions with the labels: accuracy, for regression Spearman."""
    said = [str(value) for value in predicted]
    scores = metric.scores(task, [row.label for row in rows], said)
    found = {
        "label_correctness": scores["accuracy" if task.kind == "classification" else "spearman"]
    }
    if task.kind == "classification":
        for label in task.labels:
            agreed = [
                one == label for row, one in zip(rows, said, strict=True) if row.label == label
            ]
            found[f"label_correctness/{label}"] = sum(agreed) / max(1, len(agreed))
    return found
