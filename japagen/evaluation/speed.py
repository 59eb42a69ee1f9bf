"""The backends of a saved student, measured one after the other: speed, memory, size, score."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.evaluation.score import Rows
from japagen.gold import metric
from japagen.gold.example import Example
from japagen.student.backend import BACKENDS, available

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

SAMPLE = 100  # rows that are asked one at a time
# What is measured of a backend, and how a table calls it.
COLUMNS = {
    "batch_1": "rows/s one by one",
    "batched": "rows/s in batches",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "first_answer_seconds": "s to first answer",
    "memory_mb": "memory MB",
    "size_mb": "file MB",
    "same_labels": "equal labels",
    "score": "score",
}

DIGITS = {"p50_ms": 1, "p95_ms": 1, "first_answer_seconds": 1, "same_labels": 4, "score": 4}


@dataclass(frozen=True)
class Speed:
    """One backend. `rows`: its predictions; `measured`: by the names in COLUMNS."""

    name: str
    rows: Rows
    measured: Mapping[str, float]


def measure(
    folder: Path, task: Task, rows: Sequence[Example], batch_size: int, seed: int
) -> list[Speed]:
    """Return what was measured of each backend that the student has, on the same rows.

    The first is torch (on the GPU if there is one), to whose predictions `same_labels` refers.
    """
    names = sorted(available(folder), key=lambda name: name != "torch_gpu")
    sample = random.Random(seed).sample(range(len(rows)), min(SAMPLE, len(rows)))
    found: list[Speed] = []
    for name in names:
        measured, predictions = probe(folder, name, batch_size, rows, sample)
        answered = [
            {"id": row.id, "gold": row.label, **said}
            for row, said in zip(rows, predictions, strict=True)
        ]
        first = found[0].rows if found else answered
        measured |= {
            "size_mb": size(folder, name) / 1e6,
            "same_labels": same(first, answered, task),
            "score": score(answered, task),
        }
        found.append(Speed(name, answered, measured))
        log.info(
            "%s: %.1f rows/s one at a time, %.1f in batches of %d, score %.4f",
            name,
            measured["batch_1"],
            measured["batched"],
            batch_size,
            measured["score"],
        )
    return found


def probe(
    folder: Path, name: str, batch_size: int, rows: Sequence[Example], sample: Sequence[int]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Return (measures, predictions) of one backend, from a process of its own."""
    asked = {
        "folder": str(folder.absolute()),
        "backend": name,
        "batch_size": batch_size,
        "examples": [list(row.texts) for row in rows],
        "sample": list(sample),
    }
    with TemporaryDirectory() as temporary:
        question, answer = Path(temporary) / "question.json", Path(temporary) / "answer.json"
        question.write_text(json.dumps(asked), encoding="utf-8")
        command = [sys.executable, "-m", "japagen.evaluation.probe", str(question), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode or not answer.exists():
            last = ([line for line in done.stderr.splitlines() if line.strip()] or ["no output"])[
                -1
            ]
            raise UserError(f"the student {folder} cannot be run with {name}: {last[:500]}")
        found = json.loads(answer.read_text(encoding="utf-8"))
    return found["measured"], found["predictions"]


def size(folder: Path, name: str) -> int:
    """Return the bytes of the weights that a backend reads."""
    place = (folder / BACKENDS[name].file).parent
    stem = Path(BACKENDS[name].file).stem
    mine = place.glob("*.safetensors" if stem in ("config", "model") else f"{stem}.*")
    files = [path for path in mine if path.is_file()] or [place / Path(BACKENDS[name].file).name]
    return sum(path.stat().st_size for path in files)


def same(first: Rows, other: Rows, task: Task) -> float:
    """Return the share of equal labels; of a regression, of scores within a tenth of its range."""
    pairs = [(a["predicted"], b["predicted"]) for a, b in zip(first, other, strict=True)]
    if task.kind == "regression":
        levels = [float(level) for level in task.labels]
        near = (max(levels) - min(levels)) / 10
        equal = sum(bool(abs(a - b) <= near) for a, b in pairs)
    else:
        equal = sum(bool(a == b) for a, b in pairs)
    return equal / len(pairs)


def score(rows: Rows, task: Task) -> float:
    """Return the task's metric of predictions."""
    gold, said = [row["gold"] for row in rows], [str(row["predicted"]) for row in rows]
    return metric.scores(task, gold, said)[task.metric]


def metrics(found: Sequence[Speed]) -> dict[str, float]:
    """Return what was measured as metrics of a run."""
    return {
        f"speed/{one.name}/{key}": value for one in found for key, value in one.measured.items()
    }


def table(found: Sequence[Speed], prompted: float | None) -> tuple[list[str], list[list[str]]]:
    """Return (head, lines) of a table with a column for each backend.

    `prompted`: the LLM's rows per second in this run, or None.
    """
    head = ["", *(one.name for one in found)]
    lines = [
        [title, *(f"{one.measured[key]:.{DIGITS.get(key, 0)}f}" for one in found)]
        for key, title in COLUMNS.items()
    ]
    for key in ("batch_1", "batched") if prompted else ():
        times = [f"{one.measured[key] / (prompted or 1):.0f}" for one in found]
        lines.append([f"{COLUMNS[key]}, times the LLM's {prompted:.2f}", *times])
    return head, lines


def markdown(found: Sequence[Speed], prompted: float | None) -> str:
    """Return the table as Markdown."""
    head, lines = table(found, prompted)
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])


def shown(found: Sequence[Speed], prompted: float | None) -> Any:
    """Return the table for the console."""
    from rich.table import Table

    head, lines = table(found, prompted)
    made = Table(*head, title="backends of the student")
    for line in lines:
        made.add_row(*line)
    return made


def chart(found: Sequence[Speed], task: Task, prompted: Mapping[str, float]) -> Figure:
    """Return score against rows per second in batches; `prompted`: the LLM's `batched`, `score`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    # Backends of one student lie close together: names in a legend do not cover each other.
    for marker, (name, measured) in zip(cycle("osD^v*P"), points(found, prompted), strict=False):
        label = f"{name}, {measured['batched']:.3g} rows/s"
        axes.scatter(measured["batched"], measured["score"], marker=marker, label=label)
    figure.legend(loc="outside right upper")
    axes.set_xscale("log")
    axes.set(xlabel="rows per second in batches", ylabel=task.metric)
    axes.grid(visible=True, alpha=0.3)
    return figure


def points(
    found: Sequence[Speed], prompted: Mapping[str, float]
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield (name, measures) of each point of the chart."""
    yield from ((one.name, one.measured) for one in found)
    if prompted:
        yield "LLM prompted", prompted
