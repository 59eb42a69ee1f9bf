"""What was measured of a dataset -> Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from japagen.quality.measured import Measured
from japagen.quality.page import random_rows, suspicious_rows
from japagen.quality.table import shown, tables
from japagen.quality.verdict import verdicts
from japagen.report.markdown import plain, table


def report(found: Measured, title: str) -> str:
    """The whole text about the dataset called `title`."""
    lines = [f"# Quality of {plain(title)}", "", f"{len(found.data.rows)} rows.", ""]
    lines += ["## Verdicts", ""]
    lines += [
        f"- {'**fault**' if one.is_fault else 'fine'}: {plain(one.text)}" for one in verdicts(found)
    ]
    lines += [f"- {plain(note)}" for note in found.notes]
    for name, measures in tables(found).items():
        body = [
            [plain(one.name), shown(one.value), shown(one.gold), plain(one.meaning)]
            for one in measures
        ]
        lines += ["", f"## {name}", "", *table(["measure", "rows", "gold", "meaning"], body)]
    return "\n".join([*lines, *telling(found), *rows(found)]) + "\n"


def telling(found: Measured) -> Iterator[str]:
    """The telling n-grams of each label."""
    yield from ("", "## Telling n-grams", "")
    for label, ranked in found.telling.items():
        grams = ", ".join(
            f"{plain(one.gram)} ({100 * one.inside:.0f} / {100 * one.outside:.0f} %)"
            for one in ranked
        )
        yield f"- {plain(label)}: {grams or 'none'}"


def rows(found: Measured) -> Iterator[str]:
    """Suspicious and random rows of each label."""
    suspicious = suspicious_rows(found)
    for label, drawn in random_rows(found).items():
        for title, own in (("suspicious", suspicious.get(label, [])), ("random", drawn)):
            if own:
                yield from ("", f"## {plain(label)}: {title} rows", "")
            for row in own:
                why = f" ({plain(row.reasons)})" if row.reasons else ""
                yield f"- {plain(' / '.join(row.texts))}{why}"
