"""`python -m japagen.report`: its options, and the files it writes."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from japagen import tracking
from japagen.config.error import UserError
from japagen.report import chart, markdown, page, summary
from japagen.report.summary import Summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the store, write the report and say where it is; the exit status."""
    options = parser().parse_args(arguments)
    try:
        found = summary.summarise(read(options.mlflow_uri), options.task, options.reference)
        path = write(found, options.mlflow_uri, Path(options.out))
    except UserError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(
        f"{len(found.runs)} runs, {len(found.labels)} methods, {len(found.columns)} tasks\nreport: {path}"
    )
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m japagen.report",
        description="One table and its plots from the runs that MLflow keeps.",
    )
    made.add_argument(
        "--mlflow-uri",
        default="sqlite:///mlflow.db",
        metavar="URI",
        help="where MLflow keeps the runs [%(default)s]",
    )
    made.add_argument(
        "--out",
        default="report",
        metavar="FOLDER",
        help="where index.html and report.md go [%(default)s]",
    )
    made.add_argument("--task", nargs="+", default=[], metavar="TASK", help="these tasks only")
    made.add_argument(
        "--reference",
        default="",
        metavar="ROW",
        help="test every method against this row, not against the best",
    )
    return made


def read(uri: str) -> list[tracking.Recorded]:
    """The runs in the store; its errors end with what makes runs."""
    try:
        return tracking.recorded(uri)
    except UserError as error:
        raise UserError(f"{error}\n{summary.COMMANDS}") from error


def write(found: Summary, uri: str, folder: Path) -> Path:
    """index.html, report.md and the charts as files that it shows; the path of the page."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names: list[tuple[str, chart.Chart]] = []
        for kind, charts in (("scaling", found.scaling), ("quality", found.quality)):
            names += [
                (f"{kind}-{number}-{re.sub(r'[^A-Za-z0-9_]', '_', one.title)}.svg", one)
                for number, one in enumerate(charts, 1)
            ]
        for name, one in names:
            (folder / name).write_text(chart.svg(one, alone=True) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown.report(found, uri, names), encoding="utf-8")
        (folder / "index.html").write_text(page.html(found, uri), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot write {error.filename or folder}: {error.strerror}. Name another folder with --out."
        ) from error
    return folder / "index.html"


if __name__ == "__main__":
    sys.exit(main())
