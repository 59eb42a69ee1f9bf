"""Write, record and print what was measured of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from japagen import files, tracking
from japagen.job.console import plain_console, shown
from japagen.quality import doubt, markdown, page
from japagen.quality.measured import Measured
from japagen.quality.table import shown as value
from japagen.quality.table import tables
from japagen.quality.verdict import verdicts

PAGE, TEXT, DOUBTED = "quality.html", "quality.md", "doubted.jsonl"


def record(found: Measured, folder: Path, track: tracking.Run) -> Path:
    """Write the page into the dataset's folder, and all into MLflow; returns the page's path."""
    text, path = page.html(found, folder.name), folder / PAGE
    files.write_whole(path, text)
    track.metrics({f"quality/{name}": value for name, value in found.metrics.items()})
    track.text(text, PAGE)
    track.text(markdown.report(found, folder.name), TEXT)
    if rows := list(doubted(found)):
        track.rows(rows, DOUBTED)
    return path


def doubted(found: Measured) -> Iterator[dict[str, Any]]:
    """The 50 most doubted rows of each label."""
    for own in doubt.worst(found.doubts).values():
        for one in own:
            row = found.data.rows[one.place]
            texts = dict(zip(found.data.task.inputs, row.texts, strict=True))
            judged = {"instead": one.instead, "probability": round(one.probability, 4)}
            yield {"id": row.id, **texts, "label": one.label, **judged}


def lines(found: Measured, path: Path) -> list[str]:
    """The verdicts as lines for the console, what was not measured, and where the page is."""
    own = [f"{'fault' if one.is_fault else 'fine '}  {one.text}" for one in verdicts(found)]
    return [*own, *found.notes, f"quality: {path}"]


def say(lines: Iterable[str]) -> None:
    """Print lines with text from outside."""
    console = plain_console(soft_wrap=True)
    for line in lines:
        console.print(shown(line))


def table(found: Measured, title: str) -> Any:
    """The measures beside those of gold rows, as a rich table."""
    from rich.table import Table

    made = Table("", "synthetic", "gold", title=title)
    for own in tables(found).values():
        for one in own:
            made.add_row(one.name, value(one.value), value(one.gold))
    return made
