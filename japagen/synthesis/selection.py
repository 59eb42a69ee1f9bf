"""Select the rows of a dataset from more candidates than it has; the others stay in the journal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from japagen.config.schema import Select
from japagen.dataset.reply import Reply
from japagen.student import vectors
from japagen.synthesis.choosing import Pool, choose
from japagen.synthesis.counts import by_count
from japagen.synthesis.facts import Facts
from japagen.synthesis.plan import Plan

# Numbers of rows per label at which a selection ends, times powers of ten: each is about a quarter
# more than the one before.
ENDS = (10, 12, 16, 20, 25, 32, 40, 50, 64, 80)

Put = Callable[[str, str, Reply], None]  # writes a row: id, label, reply


def ends(number: int) -> Iterator[int]:
    """Yield the numbers of rows per label at which blocks end, up to the first that is enough."""
    scale = 1
    while True:
        for end in ENDS:
            yield end * scale
            if end * scale >= number:
                return
        scale *= 10


def candidates(select: Select, number: int) -> int:
    """Return how many rows per label are drawn so that `number` can be kept."""
    if select.name == "none":
        return number
    *_, last = ends(number)
    return math.ceil(select.factor * last)


class All:
    """Every accepted row is written at once."""

    def __init__(self, made: Plan, put: Put) -> None:
        self.made, self.put = made, put

    def keep(self, k: int, reply: Reply) -> None:
        """Write example k."""
        self.put(self.made.name(k), self.made.label(k), reply)

    def finish(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return the counts for the manifest."""
        return report


class Selection:
    """Keeps part of the candidates, block after block of rows.

    Each block chooses from all candidates up to its end that were not kept before. So a larger
    number of rows extends a dataset, and a choice does not depend on how many rows are asked for.
    It is written to the journal: a library of another version may choose differently.
    """

    def __init__(self, made: Plan, put: Put, facts: Facts) -> None:
        self.made, self.put, self.facts = made, put, facts
        self.select = made.dataset.select
        self.rows: dict[int, Reply] = {}

    def keep(self, k: int, reply: Reply) -> None:
        """Add a candidate."""
        self.rows[k] = reply

    def finish(self, report: dict[str, Any]) -> dict[str, Any]:
        """Select, write the rows, and return `report` with the counts of the selected rows."""
        number, labels = self.made.dataset.num_per_label, self.made.dataset.task.labels
        ranks: dict[tuple[int, str], int] = {}
        counts: Counter[str] = Counter()
        for k in self.chosen():
            label = self.made.label(k)
            ranks[counts[label], label] = k
            counts[label] += 1
        written = [(n, label) for n in range(number) for label in labels if (n, label) in ranks]
        for rank, label in written:
            self.put(f"{label}-{rank:06d}", label, self.rows[ranks[rank, label]])
        kept = Counter(label for _, label in written)
        drawn = Counter(self.made.label(k) for k in self.rows)
        missing = {label: number - kept[label] for label in labels if kept[label] < number}
        if "llms" in report:
            by_llm = Counter(self.rows[ranks[one]].llm for one in written)
            report["llms"] = {
                name: found | {"accepted": by_llm[name]} for name, found in report["llms"].items()
            }
        return with_unselected(report, drawn - kept) | {
            "accepted": len(written),
            "missing": missing,
            "select": {"drawn": len(self.rows), "kept": len(written)},
        }

    def chosen(self) -> Iterator[int]:
        """Yield the kept candidates, block after block, those of a block in plan order."""
        kept: list[int] = []
        self.places: list[int] = []
        self.vectors: list[Any] = []
        full = True
        for end in ends(self.made.dataset.num_per_label):
            key = f"select/{end}"
            known = self.facts.known.get(key, []) if full else []
            if known and not set(known) & set(kept):
                block = [k for k in known if k in self.rows]
            else:
                block, known = self.block(end, kept), []
            kept += block
            # A block that lacks rows is chosen again when more candidates are there, and with it
            # all later ones, which chose from what it had left.
            full = full and len(kept) == end * len(self.made.dataset.task.labels)
            if full and not known:
                self.facts.record(key, block)
            yield from block

    def block(self, end: int, kept: list[int]) -> list[int]:
        """Choose the candidates of the block that ends with `end` rows per label."""
        self.add_up_to(end)
        place = {k: n for n, k in enumerate(self.places)}
        counts = Counter(self.made.label(k) for k in kept)
        pool = Pool(
            [self.made.label(k) for k in self.places],
            [self.made.slot(self.rows[k].k) for k in self.places],
            self.stacked(),
            [place[k] for k in kept if k in place],
        )
        wanted = {label: end - counts[label] for label in self.made.dataset.task.labels}
        return sorted(self.places[n] for n in choose(self.select.name, pool, wanted))

    def add_up_to(self, end: int) -> None:
        """Add the candidates of all blocks up to `end`, and their vectors.

        Texts in one batch change each other's last digits: a block's are never encoded with others.
        """
        have = set(self.places)
        for other in ends(end):
            limit = math.ceil(self.select.factor * other)
            new = [k for k in sorted(self.rows.keys() - have) if self.made.number(k) < limit]
            have.update(new)
            self.places += new
            if new and self.select.name != "balanced":
                self.vectors.append(vectors.of([self.rows[k].texts for k in new]))

    def stacked(self) -> Any:
        """Return a vector of each candidate so far, in the form that the method compares."""
        import numpy as np

        if not self.vectors:
            return np.empty((0, 0))
        form = vectors.features if self.select.name == "confident" else vectors.whole
        return form(np.concatenate(self.vectors))


def with_unselected(report: dict[str, Any], counts: Counter[str]) -> dict[str, Any]:
    """Return a report of replies with the reason `unselected` and its counts by label."""
    rejected = {label: dict(found) for label, found in report["rejected"].items()}
    for label, count in counts.items():
        rejected.setdefault(label, {})["unselected"] = count
    by_reason: Counter[str] = Counter()
    for found in rejected.values():
        by_reason.update(found)
    return report | {
        "rejected": {label: dict(by_count(found)) for label, found in rejected.items()},
        "rejected_by_reason": dict(by_count(by_reason)),
    }


def of(made: Plan, put: Put, facts: Facts) -> All | Selection:
    """Return what decides which accepted rows are written."""
    return All(made, put) if made.dataset.select.name == "none" else Selection(made, put, facts)
