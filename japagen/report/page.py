"""A report's summary -> one HTML page that needs no other file."""

from __future__ import annotations

from markupsafe import Markup

from japagen import __version__
from japagen.config.secret import hidden
from japagen.report import chart, format, headline, summary, template
from japagen.report.row import row, seed
from japagen.report.summary import Summary
from japagen.tracking import Recorded

SHOWN = 20  # failed runs that are listed, the newest first
LONGEST = 90  # characters of an error


def html(found: Summary, uri: str) -> str:
    """The page; its links lead to the store `uri`."""
    models = summary.models(found.labels)
    paid = any(one.dollars is not None for one in found.costs)
    return template.render(
        "page.html.jinja",
        found=found,
        version=__version__,
        models=models[:1].upper() + models[1:],
        sections=sections(found),
        notes=summary.footnotes(found),
        states=summary.STATES,
        bad_states=summary.BAD,
        total=sum(states[key] for states in found.counts.values() for key in summary.WHOLE),
        paid=paid,
        cost_head=cost_head(paid),
        runs_of={column.task: runs_of(found, column.task) for column in found.columns},
        failed=[(run, error(run)) for run in found.failed[:SHOWN]],
        server=uri.startswith("http"),
        # Markup: the SVG is escaped already, by its own template.
        svg=lambda one: Markup(chart.svg(one)),
        headline=lambda one: Markup(headline.svg(one)),
        tick=chart.tick,
        row_of=row,
        seed_of=seed,
        amount_of_data=format.amount_of_data,
        rows_per_label=format.rows_per_label,
        run_link=lambda run: format.link(uri, run),
    )


def sections(found: Summary) -> list[tuple[str, str]]:
    """(id, title) of each section that has content."""
    every = (
        ("scores", "Scores", True),
        ("scaling", "Scaling", found.scaling),
        ("quality", "Quality of the synthetic data", found.quality),
        ("speed", "Speed of the students", found.speed),
        ("cost", "Cost", found.costs),
        ("runs", "Runs", True),
    )
    return [(name, title) for name, title, content in every if content]


def cost_head(paid: bool) -> list[str]:
    """The head of the table of costs, with prices if any LLM has one."""
    head = ["Method", "Per 1,000", *(["Price per 1,000"] if paid else []), "Before the first"]
    return [*head, "Break-even", *(["… in dollars"] if paid else []), "Against"]


def runs_of(found: Summary, task: str) -> list[Recorded]:
    """The runs of a task in the order of the table."""
    order = list(found.labels)
    own = (run for run in found.runs if run.task == task)
    return sorted(own, key=lambda run: (order.index(row(run)), run.began))


def error(run: Recorded) -> str:
    """The beginning of a failed run's error."""
    lines = hidden(run.tags.get("error", "")).strip().splitlines()
    return lines[0][:LONGEST] if lines else "no error recorded"
