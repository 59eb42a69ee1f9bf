"""Doubted labels: confident learning, and agreement with another judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WORST = 50  # doubted rows of each label that are listed
CHECKED = 10  # rows of a label below which its share of doubted ones says nothing


@dataclass(frozen=True)
class Doubt:
    """A doubted row: its place, its label, the more probable label, and the label's probability."""

    place: int
    label: str
    instead: str
    probability: float


@dataclass(frozen=True)
class Doubts:
    """The doubted rows, the least probable label first, and (label, predicted) -> count.

    `checked`: rows of each label that were looked at.
    """

    found: Sequence[Doubt] = ()
    confusion: Mapping[tuple[str, str], int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """`issues` and `issues/LABEL`: the shares, from 0 to 1, of doubted rows.

        A row is doubted if confident learning puts it off the diagonal: the probability of another
        label is above that label's threshold, which is the mean probability of the rows that have
        it. Source: Northcutt et al. 2021, "Confident Learning".
        """
        counts = Counter(one.label for one in self.found)
        every = sum(self.checked.values())
        return {
            "issues": len(self.found) / max(1, every),
            **{f"issues/{label}": counts[label] / n for label, n in self.checked.items() if n},
        }


def find(probabilities: np.ndarray, labels: Sequence[str], names: Sequence[str]) -> Doubts:
    """The doubted rows. `probabilities`: (rows, names), from a model that did not see the row.

    Needs cleanlab.
    """
    import numpy as np
    from cleanlab.filter import find_label_issues

    number = {name: place for place, name in enumerate(names)}
    given = np.array([number[label] for label in labels])
    ranked = find_label_issues(
        given,
        probabilities,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    best = [names[place] for place in probabilities.argmax(1)]
    found = [
        Doubt(int(row), labels[row], best[row], float(probabilities[row, given[row]]))
        for row in ranked
    ]
    return Doubts(found, Counter(zip(labels, best, strict=True)), Counter(labels))


def worst(doubts: Doubts) -> dict[str, list[Doubt]]:
    """The 50 doubted rows of each label whose label is least probable."""
    found: dict[str, list[Doubt]] = {}
    for one in doubts.found:
        own = found.setdefault(one.label, [])
        if len(own) < WORST:
            own.append(one)
    return found
