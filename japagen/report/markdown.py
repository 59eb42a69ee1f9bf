"""A report's summary -> Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from japagen.report import result, summary
from japagen.report.chart import Chart, describe
from japagen.report.summary import Summary, amount


def report(found: Summary, uri: str, charts: Sequence[tuple[str, Chart]]) -> str:
    """The whole text; `charts` with the names of their files beside it."""
    lines = [
        "# JapaGen: results",
        "",
        f"Generated {summary.date(found.at)} from {len(found.runs)} runs in MLflow.",
        "",
        "## Scores",
        "",
    ]
    lines += scores(found)
    lines += ["", *(f"- {plain(note)}" for note in summary.footnotes(found))]
    if models := summary.models(found.labels):
        lines.append(f"- {plain(models)}")
    for kind, title in (("scaling", "Scaling"), ("quality", "Quality of the synthetic data")):
        shown = [
            f"![{plain(describe(chart))}]({name})"
            for name, chart in charts
            if name.startswith(kind)
        ]
        lines += ["", f"## {title}", "", *shown] if shown else []
    lines += ["", "## Cost", "", *costs(found)] if found.costs else []
    lines += ["", "## Runs", "", *counts(found), "", *links(found, uri)]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|#!])", r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A table whose first `left` columns are set left."""
    rule = ["---" if number < left else "---:" for number in range(len(head))]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rows)]


def scores(found: Summary) -> list[str]:
    """The main table."""
    head = [
        "method",
        *(f"{plain(column.task)} ({plain(column.metric)})" for column in found.columns),
    ]
    rows = []
    if any(column.majority is not None for column in found.columns):
        rows.append(
            [
                "majority",
                *(
                    "—" if column.majority is None else f"{column.majority:.3f}"
                    for column in found.columns
                ),
            ]
        )
    for row, label in found.labels.items():
        line = [plain(label)]
        for column in found.columns:
            cell = column.cells.get(row)
            if cell is None:
                line.append("—")
                continue
            mean, spread = summary.score_text(cell)
            mean = f"**{mean}**" if row == column.best else mean
            line.append(
                " ".join(
                    filter(
                        None, [mean, spread, f"(n={len(cell.runs)})", plain(summary.p_text(cell))]
                    )
                )
            )
        rows.append(line)
    return table(head, rows)


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
    for run in sorted(
        found.runs, key=lambda run: (run.task, list(found.labels).index(result.row(run)), run.began)
    ):
        label = plain(found.labels[result.row(run)])
        seed = plain(result.seed(run))
        yield f"- {plain(run.task)}, {label}, seed {seed}: {run.metrics['score']:.4f} ([run]({summary.page_of(uri, run)}))"
