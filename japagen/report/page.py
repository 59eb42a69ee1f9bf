"""A report's summary -> one HTML page that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from japagen import __version__
from japagen.report import chart, result, summary
from japagen.report.chart import Chart
from japagen.report.cost import Cost
from japagen.report.result import Cell, Column, Row
from japagen.report.summary import Summary, amount
from japagen.tracking import Recorded

SHOWN = 20  # failed runs that are listed, the newest first


def html(found: Summary, uri: str) -> str:
    """The page; `uri` is the store that its links lead to."""
    parts = contents(found, uri)
    style = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
    sections = "\n".join(section(name, title, body) for name, title, body in parts)
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in parts)
    tasks = ", ".join(text(column.task) for column in found.columns)
    about = f"{len(found.labels)} methods on {tasks}"
    if models := summary.models(found.labels):
        about += f". {text(models[0].upper() + models[1:])}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>JapaGen: results</title>
<link rel="icon" href="data:,">
<style>
{style}{chart.style()}
</style>
</head>
<body>
<header>
<h1>JapaGen: results</h1>
<p class="soft">{about}.</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{sections}
</main>
<footer><p>Generated <time datetime="{stamp(found.at)}">{summary.date(found.at)}</time> by JapaGen {escape(__version__)}
from {len(found.runs)} of {sum(sum_of(states) for states in found.counts.values())} runs in MLflow.</p></footer>
</body>
</html>
"""


def contents(found: Summary, uri: str) -> list[tuple[str, str, list[str]]]:
    """(id, title, lines) of each section that has something to say."""
    parts = [("scores", "Scores", [*scores(found)])]
    if found.scaling:
        parts.append(("scaling", "Scaling", [*figures(found.scaling, SCALING)]))
    if found.quality:
        parts.append(
            ("quality", "Quality of the synthetic data", [*figures(found.quality, QUALITY)])
        )
    if found.costs:
        parts.append(("cost", "Cost", [*costs(found)]))
    parts.append(("runs", "Runs", [*runs(found, uri)]))
    return parts


SCALING = (
    "Score against the amount of training data; a mark is the mean over seeds, the bar through it ± one standard deviation. "
    "Axes do not start at zero."
)
QUALITY = "Each mark is one student, at the measured quality of the dataset that it was trained on."


def text(words: object) -> str:
    """Escaped, and said to be Japanese where it has kana or kanji."""
    shown = escape(str(words)).replace(
        "· ", "·\N{NO-BREAK SPACE}"
    )  # a line begins with the dot rather than ends with it
    return (
        f'<span lang="ja">{shown}</span>'
        if re.search(r"[\u3040-\u30ff\u3400-\u9fff]", shown)
        else shown
    )


def stamp(seconds: float) -> str:
    """A moment as machines read it."""
    return summary.date(seconds).replace(" UTC", "Z").replace(" ", "T")


def sum_of(states: dict[str, int]) -> int:
    """All runs; the last two states are parts of the finished ones."""
    return sum(states[state] for state in summary.STATES[:-2])


def section(name: str, title: str, body: Iterable[str]) -> str:
    """A part of the page that the list at its top leads to."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n'
        + "\n".join(body)
        + "\n</section>"
    )


def table(kind: str, caption: str, head: Sequence[str], rows: Iterable[str]) -> str:
    """A table that scrolls in a box of its own, which the keyboard reaches."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="{kind}">'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{top}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def line(head: str, cells: Iterable[str], kind: str = "") -> str:
    """A row whose first cell is its head."""
    mark = f' class="{kind}"' if kind else ""
    return (
        f'<tr{mark}><th scope="row">{head}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def scores(found: Summary) -> Iterator[str]:
    """The main table and its footnotes."""
    head = [
        "Method",
        *(f"{text(column.task)}<small>{text(column.metric)}</small>" for column in found.columns),
    ]
    rows = []
    if any(column.majority is not None for column in found.columns):
        shares = (
            "—" if column.majority is None else f"{column.majority:.3f}" for column in found.columns
        )
        rows.append(line("majority", shares, "majority"))
    for row, label in found.labels.items():
        cells = "".join(score(column, row) for column in found.columns)
        rows.append(f'<tr><th scope="row">{text(label)}</th>{cells}</tr>')
    yield table("scores", "Score of each method on each task", head, rows)
    yield (
        '<ul class="notes">'
        + "".join(f"<li>{text(note)}</li>" for note in summary.footnotes(found))
        + "</ul>"
    )


def score(column: Column, row: Row) -> str:
    """One cell of the main table."""
    cell = column.cells.get(row)
    if cell is None:
        return '<td><span aria-label="not run">—</span></td>'
    mean, spread = summary.score_text(cell)
    kind = ' class="best"' if row == column.best else ""
    return f'<td{kind}><span class="mean">{mean}</span> <span class="sd">{spread}</span><small>{small(cell)}</small></td>'


def small(cell: Cell) -> str:
    """What stands below a score: the number of seeds and the p-value."""
    told = f"n = {len(cell.runs)}" + (
        f" · {escape(summary.p_text(cell))}" if cell.p is not None else ""
    )
    return told.replace("†", '<span class="dagger" title="p below 0.05">†</span>').replace(
        "p(t)", "p<sub>t</sub>"
    )


def figures(charts: Sequence[Chart], caption: str) -> Iterator[str]:
    """The charts side by side, and their numbers as a table for those who want or need them."""
    yield f'<p class="soft">{escape(caption)}</p>'
    yield (
        '<div class="charts">'
        + "\n".join(f"<figure>{chart.svg(one)}</figure>" for one in charts)
        + "</div>"
    )
    rows = []
    for one in charts:
        for series in one.series:
            for point in series.points:
                spread = "—" if point.spread is None else f"{point.spread:.3f}"
                x = chart.tick(point.x, one.percent)
                rows.append(
                    line(
                        text(one.title),
                        [
                            text(series.name),
                            f"{text(one.x)}: {x}",
                            text(one.y),
                            f"{point.y:.3f}",
                            spread,
                        ],
                    )
                )
    head = ["Task", "Method", "At", "Metric", "Mean", "SD"]
    yield f"<details><summary>The numbers</summary>{table('tight', 'The numbers of the charts', head, rows)}</details>"


def costs(found: Summary) -> Iterator[str]:
    """Cost of 1,000 predictions and the break-even, task by task."""
    yield (
        '<p class="soft">Break-even: the number of predictions from which on generating a dataset and training a student on it has taken '
        "less than prompting, (seconds of generation + of training) ÷ (seconds of a prediction by prompting − by the student).</p>"
    )
    paid = any(one.dollars is not None for one in found.costs)
    head = [
        "Method",
        "Per 1,000",
        *(["Price per 1,000"] if paid else []),
        "Before the first",
        "Break-even",
    ]
    head += [*(["… in dollars"] if paid else []), "Against"]
    rows, before = [], ""
    for one in found.costs:
        if one.task != before:
            rows.append(
                f'<tr class="task"><th scope="rowgroup" colspan="{len(head)}">{text(one.task)}</th></tr>'
            )
        before = one.task
        rows.append(cost(one, found, paid))
    yield table("costs", "Cost of 1,000 predictions and break-even", head, rows)


def cost(one: Cost, found: Summary, paid: bool) -> str:
    """A line of the table of costs; with prices where any LLM has one."""
    against = text(found.cost_labels[one.against]) if one.against else "—"
    cells = [
        amount(one.seconds, "s"),
        amount(one.dollars, "$"),
        amount(one.before_seconds, "s"),
        amount(one.even_seconds),
    ]
    cells += [amount(one.even_dollars), against]
    return line(
        text(found.cost_labels[one.row]),
        [cell for place, cell in enumerate(cells) if paid or place not in (1, 4)],
    )


def runs(found: Summary, uri: str) -> Iterator[str]:
    """Counts by state, the runs of each task with their links, and the failed ones."""
    rows = [
        line(text(task), [state_cell(name, states[name]) for name in summary.STATES])
        for task, states in found.counts.items()
    ]
    yield table("tight", "Runs by task and state", ["Task", *map(escape, summary.STATES)], rows)
    yield (
        '<p class="soft">“Not on gold”: finished without a score on all of gold, so not in the table. '
        "“Repeated”: the same job was run again later, and the newer run counts.</p>"
    )
    yield (
        "<p>The links lead to <code>mlflow ui</code>; start it first.</p>"
        if not uri.startswith("http")
        else ""
    )
    order = list(found.labels)
    for column in found.columns:
        own = sorted(
            (run for run in found.runs if run.task == column.task),
            key=lambda run: (order.index(result.row(run)), run.began),
        )
        body = table(
            "tight",
            f"Runs of {column.task}",
            ["Method", "Data", "Seed", "Score", "Begun", "Run"],
            (run_line(run, found, uri) for run in own),
        )
        yield f"<details><summary>{text(column.task)}: {len(own)} runs</summary>{body}</details>"
    if found.failed:
        failed = table(
            "tight",
            "Failed runs",
            ["Task", "Begun", "Error", "Run"],
            (failed_line(run, uri) for run in found.failed[:SHOWN]),
        )
        shown = f", the newest {SHOWN}" if len(found.failed) > SHOWN else ""
        yield f"<details><summary>{len(found.failed)} failed runs{shown}</summary>{failed}</details>"


def state_cell(name: str, number: int) -> str:
    """A count, loud where it means that something went wrong."""
    return (
        f'<span class="bad">{number}</span>'
        if number and name in ("failed", summary.STATES[4])
        else str(number)
    )


def run_line(run: Recorded, found: Summary, uri: str) -> str:
    """A run with its link."""
    row = result.row(run)
    cells = [
        text(summary.size_text(run)),
        text(result.seed(run)),
        f"{run.metrics['score']:.4f}",
        summary.date(run.began),
    ]
    return line(text(found.labels[row]), [*cells, link(run, uri)])


def failed_line(run: Recorded, uri: str) -> str:
    """A failed run with the head of its error."""
    error = (run.tags.get("error") or "no error recorded").splitlines()[0][:90]
    return line(text(run.task), [summary.date(run.began), text(error), link(run, uri)])


def link(run: Recorded, uri: str) -> str:
    """To the run in MLflow's pages."""
    return f'<a href="{escape(summary.page_of(uri, run))}" aria-label="run {escape(run.name)}">{escape(run.id[:8])}</a>'
