"""What was measured of a dataset -> one HTML page that needs no other file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from japagen import __version__
from japagen.quality.chart import charts
from japagen.quality.data import by_label, group, some
from japagen.quality.measured import Measured
from japagen.quality.table import shown, tables
from japagen.quality.verdict import verdicts
from japagen.report import chart, template

SHOWN = 10  # random and suspicious rows of each label


class Shown(NamedTuple):
    """A row on the page: its texts, its id, and why it is suspicious."""

    texts: tuple[str, ...]
    id: str
    reasons: str


def html(found: Measured, title: str) -> str:
    """The page of the dataset called `title`."""
    return template.render(
        "quality.html.jinja",
        folder=Path(__file__).parent,
        found=found,
        title=title,
        task=found.data.task,
        labels=[label for label in found.data.task.labels if found.telling.get(label)],
        verdicts=verdicts(found),
        tables=tables(found),
        confusion=confusion(found),
        # Markup: the SVG is escaped already, by its own template.
        charts=[Markup(chart.svg(one)) for one in charts(found)],
        random=random_rows(found),
        suspicious=suspicious_rows(found),
        shown=shown,
        version=__version__,
        now=time.time(),
    )


def confusion(found: Measured) -> list[tuple[str, list[tuple[int, int]]]]:
    """(label, (count, percentage of the label's rows) of each predicted label), in order."""
    counts, labels = found.doubts.confusion, found.data.task.labels
    rows = list[tuple[str, list[tuple[int, int]]]]()
    for label in labels if counts else []:
        own = [counts.get((label, other), 0) for other in labels]
        rows.append((label, [(count, round(100 * count / max(1, sum(own)))) for count in own]))
    return rows


def random_rows(found: Measured) -> dict[str, list[Shown]]:
    """Ten rows of each label, drawn at random."""
    return {
        label: [Shown(row.texts, row.id, "") for row in some(own, SHOWN)]
        for label, own in by_label(found.data.rows, found.data.task).items()
        if own
    }


def suspicious_rows(found: Measured) -> dict[str, list[Shown]]:
    """Up to ten suspicious rows of each label: most reasons first, then most doubted."""
    shown: dict[str, list[Shown]] = {}
    for label, row, reasons in ranked(found):
        own = shown.setdefault(label, [])
        if len(own) < SHOWN:
            own.append(Shown(row.texts, row.id, "; ".join(reasons)))
    return {label: shown[label] for label in found.data.task.labels if label in shown}


def ranked(found: Measured) -> Iterator[tuple[str, Any, list[str]]]:
    """(label, row, reasons) of suspicious rows in the order of the page."""
    doubted = {one.place: one.probability for one in found.doubts.found}
    order = sorted(
        found.reasons,
        key=lambda place: (-len(found.reasons[place]), doubted.get(place, 1.0), place),
    )
    for place in order:
        row = found.data.rows[place]
        yield group(row, found.data.task), row, found.reasons[place]
