"""A report's summary -> Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from japagen.report import format, summary
from japagen.report.format import amount
from japagen.report.row import Row, row, seed
from japagen.report.summary import Summary
from japagen.report.table import Column
from japagen.tracking import printable


def report(found: Summary, uri: str, charts: Sequence[tuple[str, str]]) -> str:
    """The whole text; `charts` are (file name, description)."""
    lines = [
        "# JapaGen: results",
        "",
        f"Generated {format.date(found.at)} from {len(found.runs)} runs in MLflow.",
        "",
        "## Scores",
        "",
    ]
    if shown := images("scores", charts):
        lines += [*shown, ""]
    lines += scores(found)
    lines += ["", *(f"- {plain(note)}" for note in summary.footnotes(found))]
    if models := summary.models(found.labels):
        lines.append(f"- {plain(models)}")
    titles = {
        "scaling": "Scaling",
        "quality": "Quality of the synthetic data",
        "speed": "Speed of the students",
    }
    for kind, title in titles.items():
        shown = images(kind, charts)
        lines += ["", f"## {title}", "", *shown] if shown else []
    lines += ["", "## Cost", "", *costs(found)] if found.costs else []
    lines += ["", "## Runs", "", *counts(found), "", *links(found, uri)]
    return "\n".join(lines) + "\n"


def images(kind: str, charts: Sequence[tuple[str, str]]) -> list[str]:
    """The charts of one kind."""
    return [f"![{plain(text)}]({name})" for name, text in charts if name.startswith(kind)]


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#!$~])", r"\\\1", " ".join(printable(text).split()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A table whose first `left` columns are aligned left."""
    rule = ["---" if number < left else "---:" for number in range(len(head))]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def scores(found: Summary) -> list[str]:
    """The main table."""
    tasks = [f"{plain(column.task)} ({plain(column.metric)})" for column in found.columns]
    rows = []
    if any(column.majority is not None for column in found.columns):
        rows.append(["majority", *(format.score(column.majority) for column in found.columns)])
    for one, label in found.labels.items():
        cells = [cell(column, one) for column in found.columns]
        rows.append([plain(label), *cells])
    return table(["method", *tasks], rows)


def cell(column: Column, one: Row) -> str:
    """One cell of the main table."""
    found = column.cells.get(one)
    if found is None:
        return format.MISSING
    mean = f"**{found.mean:.3f}**" if one == column.best else f"{found.mean:.3f}"
    mean += "°" if column.doubtful(found) else ""
    number = " ".join(filter(None, [f"n={len(found.runs)}", format.rows_per_label(found)]))
    parts = [mean, format.spread(found.spread), f"({number})"]
    return " ".join(filter(None, [*parts, plain(format.p_value(found))]))


def costs(found: Summary) -> list[str]:
    """The costs and break-evens."""
    head = [
        "task",
        "method",
        "s / 1,000",
        "$ / 1,000",
        "s before the first",
        "break-even",
        "in dollars",
        "against",
    ]
    rows = [
        [
            plain(one.task),
            plain(found.cost_labels[one.row]),
            amount(one.seconds),
            amount(one.dollars, "$"),
            amount(one.before_seconds),
            amount(one.even_seconds),
            amount(one.even_dollars),
            plain(found.cost_labels[one.against]) if one.against else "—",
        ]
        for one in found.costs
    ]
    return table(head, rows, left=2)


def counts(found: Summary) -> list[str]:
    """How many runs of each task are in which state."""
    rows = [
        [plain(task), *(str(states[state]) for state in summary.STATES)]
        for task, states in found.counts.items()
    ]
    return table(["task", *map(plain, summary.STATES)], rows)


def links(found: Summary, uri: str) -> Iterator[str]:
    """The runs of the table and the curves, a line each."""
    order = list(found.labels)
    for run in sorted(found.runs, key=lambda run: (run.task, order.index(row(run)), run.began)):
        label, address = plain(found.labels[row(run)]), format.link(uri, run)
        address = address.replace(" ", "%20").replace("(", "%28").replace(")", "%29")
        score = f"{run.metrics['score']:.4f}"
        yield f"- {plain(run.task)}, {label}, seed {plain(seed(run))}: {score} ([run]({address}))"
