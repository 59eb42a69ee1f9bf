"""`japagen predict`: what it does, in order, and what it prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from japagen import stop
from japagen.config.error import UserError
from japagen.job.console import shown
from japagen.job.parser import complain, parsed
from japagen.prediction import job, option, write
from japagen.prediction.chunk import Chunk, Layout, Source
from japagen.prediction.label import added, label
from japagen.prediction.parts import SHOWN, Parts, State
from japagen.prediction.progress import Progress, Watched

if TYPE_CHECKING:
    from japagen.student.predictor import Predictor

STRICT = 3  # exit code


@dataclass
class Work:
    """A checked job: the opened input and what becomes of it."""

    options: argparse.Namespace
    source: Source
    parts: Parts
    state: State
    form: str  # of the output
    shape: write.Shape

    def join(self, path: Path) -> None:
        """Write the output to `path`."""
        files = [self.parts.path(number) for number in range(self.state.parts)]
        write.join(path, self.form, files, self.shape)


def main(arguments: Sequence[str] | None = None) -> int:
    """Label the rows and say how many were bad; the exit code."""
    options = parsed(option.parser(), arguments)
    stop.politely()
    parts = Parts(options.output.resolve())
    try:
        state = run(options, parts)
    except UserError as error:
        complain("predict", error)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped at {saved(parts):,} rows; repeat the command to continue.", file=sys.stderr)
        return stop.code()
    report(state, options.output)
    return STRICT if options.strict and state.bad else 0


def saved(parts: Parts) -> int:
    """Return how many rows are in finished parts."""
    try:
        state = parts.load()
    except UserError:
        return 0
    return state.rows if state else 0


def run(options: argparse.Namespace, parts: Parts) -> State:
    """Label the rows that are not in finished parts, join the parts, and remove them."""
    work = prepare(options, parts)
    with writing(parts), parts.locked():
        if found := parts.load():  # another process may have continued since
            job.check_same(found.job, work.state.job, parts.output, parts.folder)
            work.state = found
        check_output(options, parts, work.state)
        if not parts.is_finished(work.state):
            parts.check_whole(work.state)
            if work.state.position < work.source.size:
                label_rest(work)
            parts.finish(work.state, work.join)
        parts.clear(work.state.parts)
    return work.state


def prepare(options: argparse.Namespace, parts: Parts) -> Work:
    """Check the options against the input, the student and an unfinished output."""
    from japagen.student import backend, card, predictor

    found = card.parse(options.folder, "FOLDER")
    task = predictor.task_of(found)
    form = option.format_of(options.output, "--output")
    if options.backend == backend.AUTO:
        options.backend = backend.fastest(options.folder, found.get("exports") or {})
    backend.check(options.folder, options.backend)
    inputs = option.mapped(task.inputs, options.columns)
    source = open_source(options, inputs)
    state = state_of(options, parts, source, inputs)
    columns = added(task, options.probabilities)
    kept = checked(options, Layout(**state.layout), inputs, list(columns))
    types = dict(zip(state.layout["columns"], state.layout["types"], strict=False))
    schema = getattr(source, "schema", None)
    shape = write.Shape(kept, [types[name] for name in kept if types], columns, schema)
    return Work(options, source, parts, state, form, shape)


def open_source(options: argparse.Namespace, inputs: Sequence[str]) -> Source:
    """Return the input, opened by its format."""
    from japagen.prediction.jsonl import Jsonl
    from japagen.prediction.parquet import Parquet
    from japagen.prediction.table import Table

    path = options.input
    form = options.format or option.format_of(path, "--input")
    with reading(path):
        if form == "parquet":
            return Parquet(path, inputs, options.keep)
        return (
            Jsonl(path, inputs) if form == "jsonl" else Table(path, inputs, write.DELIMITERS[form])
        )


def state_of(
    options: argparse.Namespace, parts: Parts, source: Source, inputs: Sequence[str]
) -> State:
    """Return the state of the unfinished job, or of a new one."""
    names = ("format", "keep", "probabilities", "batch_size", "chunk")
    settings = {name: getattr(options, name) for name in names} | {"columns": list(inputs)}
    with reading(options.input):
        identity = job.identity(options.input, options.folder, options.backend, settings)
    found = parts.load()
    check_output(options, parts, found)
    if found:
        job.check_same(found.job, identity, parts.output, parts.folder)
        return found
    with reading(options.input):
        return State(identity, asdict(source.layout()))


def check_output(options: argparse.Namespace, parts: Parts, state: State | None) -> None:
    """Raise UserError if the output exists and may not be replaced."""
    path = parts.output
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; allowed: a file")
    if not path.exists():
        return
    if path.samefile(options.input):
        raise UserError(f"--output {path} is the input; allowed: another file")
    if not options.overwrite and not (state and parts.is_finished(state)):
        raise UserError(f"{path} exists. Give --overwrite to replace it, or another --output")


def checked(
    options: argparse.Namespace, layout: Layout, inputs: Sequence[str], columns: Sequence[str]
) -> list[str]:
    """Return the columns to copy."""
    if layout.columns or layout.rows != 0:  # a JSONL file without rows has no columns
        wanted = {"--columns INPUT=COLUMN": inputs, "--keep COLUMN": options.keep or []}
        option.check_columns(options.input, layout.columns, wanted)
    keep = layout.columns if options.keep is None else options.keep
    kept = [name for name in layout.columns if name in keep]
    option.check_clash(options.input, kept, columns)
    return kept


def label_rest(work: Work) -> None:
    """Label the rows that are not in finished parts, one part at a time."""
    from japagen.student.predictor import Predictor

    options, state = work.options, work.state
    predictor = Predictor(options.folder, options.backend, "FOLDER", options.threads)
    work.parts.save(state)
    with Progress(state.rows, state.layout["rows"]) as progress:
        predictor.backend = Watched(predictor.backend, progress.step)
        for chunk in chunks(work):
            if state.layout["rows"] is None:
                rows = state.rows + len(chunk.errors)
                progress.expect(rows, chunk.position, work.source.size)
            progress.step(sum(map(bool, chunk.errors)))
            label_chunk(work, predictor, chunk)


def label_chunk(work: Work, predictor: Predictor, chunk: Chunk) -> None:
    """Write a chunk with its predictions as the next part."""
    columns = work.shape.added
    answers = label(predictor, chunk, columns, work.options.batch_size)

    def make(path: Path) -> None:
        write.write_part(path, work.form, chunk, answers, work.shape)

    work.parts.write(work.parts.path(work.state.parts), make)
    work.state.count(chunk)
    work.parts.save(work.state)


def chunks(work: Work) -> Iterator[Chunk]:
    """Yield the chunks of the input that are not in finished parts."""
    with reading(work.options.input):
        yield from work.source.chunks(work.options.chunk, work.state.position)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise UserError for a file that cannot be read."""
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {path}: {text}. Give a readable file as --input") from error


@contextmanager
def writing(parts: Parts) -> Iterator[None]:
    """Raise UserError for a file that cannot be written, e.g. on a full disk."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {error.filename or parts.output}: {error.strerror or error}. "
            f"{saved(parts):,} rows are saved in {parts.folder}. Free space or allow writing, "
            "then repeat the command to continue"
        ) from error


def report(state: State, output: Path) -> None:
    """Print the number of rows and the first bad ones."""
    print(f"{state.rows:,} rows: {output}")
    if state.bad:
        print(f"{state.bad:,} bad rows without a prediction (column 'error'):")
        for number, reason in state.first:
            print(f"  row {number:,}: {shown(reason)}")
        if state.bad > SHOWN:
            print(f"  and {state.bad - SHOWN:,} more")
