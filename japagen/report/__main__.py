"""`python -m japagen.report`: its options, and the files it writes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from japagen import stop, tracking
from japagen.config.error import UserError
from japagen.config.schema import Config
from japagen.files import write_whole
from japagen.job.parser import Parser, complain, parsed
from japagen.report import chart, headline, markdown, page, summary
from japagen.report.summary import Summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the store, write the report and say where it is; the exit status."""
    options = parsed(parser(), arguments)
    try:
        uri = tracking.address(options.mlflow_uri)
        found = summary.summarise(read(uri), options.task, options.reference)
        path = write(found, options.ui or uri, Path(options.out))
    except UserError as error:
        complain("report", error)
        return 1
    print(f"{len(found.runs)} runs, {len(found.labels)} methods, {len(found.columns)} tasks")
    print(f"report: {path}")
    return 0


def parser() -> Parser:
    """The options."""
    made = Parser(
        prog="python -m japagen.report",
        description="A table of results with charts, from the runs in MLflow.",
    )
    made.add_argument(
        "--mlflow-uri",
        default=Config.mlflow_uri,
        metavar="URI",
        help="store of the runs; MLFLOW_TRACKING_URI, if set, else [%(default)s]",
    )
    made.add_argument(
        "--out",
        default="report",
        metavar="FOLDER",
        help="folder for index.html and report.md [%(default)s]",
    )
    made.add_argument(
        "--ui",
        default="",
        metavar="ADDRESS",
        help="address of MLflow's pages, for links; [the store's, or http://127.0.0.1:5000, where "
        "`mlflow ui` answers]",
    )
    made.add_argument("--task", nargs="+", default=[], metavar="TASK", help="only these tasks")
    made.add_argument(
        "--reference",
        default="",
        metavar="ROW",
        help="test every method against this row instead of the best",
    )
    return made


def read(uri: str) -> list[tracking.Recorded]:
    """The runs in the store; its errors end with the commands that record runs."""
    try:
        return tracking.recorded(uri)
    except UserError as error:
        raise UserError(f"{error}\n{summary.COMMANDS}") from error


def write(found: Summary, uri: str, folder: Path) -> Path:
    """Write index.html, report.md and the chart files that it shows; the path of the page.

    `uri`: the store, or the address of MLflow's pages.
    """
    save(contents(found, uri), folder)
    return folder / "index.html"


def contents(found: Summary, uri: str) -> dict[str, str]:
    """The text of each file, by its name."""
    texts = {name: svg + "\n" for name, _, svg in charts(found)}
    named = [(name, description) for name, description, _ in charts(found)]
    texts["report.md"] = markdown.report(found, uri, named)
    texts["index.html"] = page.html(found, uri)
    return texts


def save(texts: Mapping[str, str], folder: Path) -> None:
    """Write the files, each whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(folder / name, text.encode("utf-8", "backslashreplace").decode())
    except OSError as error:
        raise UserError(
            f"cannot write {error.filename or folder}: {error.strerror}. "
            "Name another folder with --out."
        ) from error


def charts(found: Summary) -> Iterator[tuple[str, str, str]]:
    """(file name, description, SVG) of every chart."""
    for number, one in enumerate(found.headlines, 1):
        name = file_name("scores", number, one.task)
        yield name, headline.describe(one), headline.svg(one, alone=True)
    kinds = {"scaling": found.scaling, "quality": found.quality, "speed": found.speed}
    for kind, drawn in kinds.items():
        for number, other in enumerate(drawn, 1):
            name = file_name(kind, number, other.title)
            yield name, chart.describe(other), chart.svg(other, alone=True)


def file_name(kind: str, number: int, title: str) -> str:
    """The name of a chart's file."""
    return f"{kind}-{number}-{re.sub(r'[^A-Za-z0-9_]', '_', title)[:60]}.svg"


if __name__ == "__main__":
    stop.at_once()
    sys.exit(main())
