"""The options of `japagen predict`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from japagen.config.error import UserError, did_you_mean
from japagen.job.parser import Parser
from japagen.student.backend import AUTO, BACKENDS
from japagen.student.predictor import BATCH

FORMATS = ("jsonl", "csv", "tsv", "parquet")
CHUNK = 8192  # rows


def parser() -> Parser:
    """Return the parser of the command line."""
    made = Parser(
        prog="japagen predict",
        description="Label the rows of a file with a saved student. "
        "A command that was stopped resumes when it is repeated.",
        epilog="Exit code: 0, 1 after an error, 3 with --strict if there were bad rows, "
        "130 after Ctrl+C, 143 after SIGTERM.",
    )
    made.add_argument("folder", type=path, metavar="FOLDER", help="a student: students/NAME")
    add_files(made)
    add_columns(made)
    add_speed(made)
    return made


def add_files(made: argparse.ArgumentParser) -> None:
    """Add the options for the files."""
    names = ", ".join(f".{name}" for name in FORMATS)
    made.add_argument(
        "--input", type=path, required=True, metavar="ROWS", help=f"rows to label: {names}"
    )
    made.add_argument(
        "--output", type=path, required=True, metavar="FILE", help=f"file to write: {names}"
    )
    made.add_argument(
        "--format", choices=FORMATS, help="format of the input, if its name does not end so"
    )
    made.add_argument("--overwrite", action="store_true", help="replace an existing output")
    made.add_argument("--strict", action="store_true", help="exit with 3 if there were bad rows")


def add_columns(made: argparse.ArgumentParser) -> None:
    """Add the options for the columns."""
    made.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="INPUT=COLUMN",
        help="column of each input of the student [the names of its inputs]",
    )
    made.add_argument(
        "--keep", nargs="*", metavar="COLUMN", help="columns of the input to copy [all]"
    )
    made.add_argument(
        "--probabilities", action="store_true", help="add a column p(LABEL) for each label"
    )


def add_speed(made: argparse.ArgumentParser) -> None:
    """Add the options that change speed and memory."""
    made.add_argument(
        "--backend", choices=[AUTO, *BACKENDS], default=AUTO, help="what runs it [%(default)s]"
    )
    made.add_argument("--threads", type=positive, metavar="N", help="threads [all cores]")
    made.add_argument(
        "--batch-size", type=positive, default=BATCH, metavar="ROWS", help="[%(default)s]"
    )
    made.add_argument(
        "--chunk",
        type=positive,
        default=CHUNK,
        metavar="ROWS",
        help="rows in memory at a time, and saved at a time [%(default)s]",
    )


def path(text: str) -> Path:
    """Return a path, with ~ and ~USER replaced."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user
        raise argparse.ArgumentTypeError(f"'{text}' has no home folder") from error


def positive(text: str) -> int:
    """Return an integer of 1 or more."""
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not an integer of 1 or more")


def format_of(path: Path, option: str) -> str:
    """Return the format that a file's name ends with."""
    form = path.suffix[1:].lower()
    if form not in FORMATS:
        more = ", or give --format" if option == "--input" else ""
        raise UserError(
            f"{option} {path} ends with '{path.suffix}'; allowed: "
            f"{', '.join(f'.{name}' for name in FORMATS)}{more}"
        )
    return form


def mapped(inputs: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the column of each of the student's inputs."""
    given = dict[str, str]()
    for one in columns:
        name, sign, column = one.partition("=")
        if not sign or name not in inputs:
            raise UserError(
                f"--columns {one}: allowed: INPUT=COLUMN, where INPUT is one of the student's "
                f"inputs: {', '.join(inputs)}{did_you_mean(name, inputs)}"
            )
        given[name] = column
    return [given.get(name, name) for name in inputs]


def check_columns(path: Path, found: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> None:
    """Raise UserError if a name occurs twice or if a column that an option names is absent."""
    twice = [name for number, name in enumerate(found) if name in found[:number]]
    if twice:
        raise UserError(f"{path} has two columns '{twice[0]}'; allowed: names that differ")
    for option, names in wanted.items():
        for name in names:
            if name not in found:
                raise UserError(
                    f"{path} has no column '{name}'. Its columns: {', '.join(found)}"
                    f"{did_you_mean(name, found)}. Give {option}"
                )


def check_clash(path: Path, kept: Sequence[str], added: Sequence[str]) -> None:
    """Raise UserError if the input has a column with the name of a column to add."""
    if both := [name for name in kept if name in added]:
        others = " ".join(name for name in kept if name not in added)
        raise UserError(
            f"{path} already has a column '{both[0]}', which the output adds. "
            f"Copy the other columns only: --keep {others}"
        )
