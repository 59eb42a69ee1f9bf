"""Other forms of a saved student, written by `export=` and checked on test rows before they count.

To add one: a module with `write`, an entry in WRITERS, and a backend that runs it.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.files import write_whole
from japagen.gold import metric
from japagen.gold.example import Example
from japagen.student import card, plain
from japagen.student.backend import BACKENDS, open_backend
from japagen.student.card import CARD
from japagen.student.exports.source import Source
from japagen.student.predictor import PLAIN, Predictor, answers

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

ROWS = 500  # on which an export is compared with the student
LOSS = 0.02  # of the task's metric: an export that loses more on those rows is not kept
TOLERANCE = 1e-3  # of a logit in 32 bits: two engines add in different orders
REFUSED = "exports_not_kept"  # in japagen.json: export -> why
EXACT = ("onnx",)  # these give the student's labels; the others round its weights
# Export -> the packages that it needs, and the extra that installs them.
PACKAGES = {
    "bfloat16": ((), ""),
    "onnx": (("onnx", "onnxruntime"), "onnx"),
    "onnx_int8": (("onnx", "onnxruntime"), "onnx"),
    "openvino_int8": (("onnx", "openvino", "nncf"), "openvino"),
}


@dataclass(frozen=True)
class Export:
    """What was measured of an export. `problem`: why it was not kept, or "".

    `same_labels`: share of rows with the student's label (a regression: within a tenth of its
    range); `score`, `student_score`: the task's metric of both; `speedup`: how many times as fast
    as torch in batches; `megabytes`: size of its files.
    """

    name: str
    problem: str
    measured: Mapping[str, float]


def check_packages(names: Sequence[str]) -> None:
    """Raise UserError for a missing package before hours of training.

    Nothing is imported: NNCF decides at its import whether it reports its use.
    """
    for name in names:
        packages, extra = PACKAGES[name]
        for package in packages:
            if find_spec(package) is None:
                raise UserError(
                    f"export={name} needs the package {package}, which is not installed: "
                    f'pip install "japagen[{extra}]"'
                )


def complete(folder: Path, names: Sequence[str]) -> bool:
    """Return whether each of these exports of a student is there, or was tried and not kept."""
    missing = [name for name in names if not (folder / BACKENDS[name].file).is_file()]
    return not missing or set(missing) <= set(card.parse(folder, "student").get(REFUSED, {}))


def write(
    folder: Path, names: Sequence[str], rows: Sequence[Example], training: Sequence[Example]
) -> list[Export]:
    """Write exports of the student in `folder`; return what was measured on `rows`.

    `training`: rows on which ranges of activations are measured. Each export is compared with the
    student; one that answers otherwise is not kept. japagen.json lists those that were.
    """
    if not names:
        return []
    student = Predictor(folder, "torch")
    some = list(rows[:ROWS])
    theirs, seconds = timed(student, some)
    found = []
    with Source(student, [row.texts for row in training]) as source:
        for name in names:
            made = one(name, source, some, theirs, seconds)
            found.append(made)
            shown = ", ".join(f"{key} {value:.4g}" for key, value in made.measured.items())
            log.info("export=%s: %s%s", name, shown, made.problem and f"; NOT KEPT: {made.problem}")
    record(folder, found, plain.equal(student, [row.texts for row in [*some, *training[:ROWS]]]))
    return found


def write_missing(
    folder: Path, names: Sequence[str], rows: Sequence[Example], training: Sequence[Example]
) -> None:
    """Write those of the exports `names` that the student in `folder` lacks; as `write` does."""
    missing = [name for name in names if not complete(folder, [name])]
    check_packages(missing)
    for line in lines(write(folder, missing, rows, training)):
        log.info("%s", line)


def one(
    name: str, source: Source, rows: Sequence[Example], theirs: np.ndarray, seconds: float
) -> Export:
    """Write, open and measure one export; `theirs`: the student's logits for `rows`."""
    student, file = source.student, BACKENDS[name].file
    with TemporaryDirectory(dir=student.folder, prefix=f".{name}-") as temporary:
        made = Path(temporary) / file
        made.parent.mkdir()
        module = importlib.import_module(f"japagen.student.exports.{name}")
        measured: dict[str, float] = {}
        try:
            module.write(source, made)
            ours, took = timed(student.using(open_backend(Path(temporary), name)), rows)
            measured = compared(rows, theirs, ours, student.task)
            measured |= {"speedup": seconds / took, "megabytes": size(made.parent) / 1e6}
            problem = difference(name, measured)
        except UserError as error:
            problem = str(error)
        except Exception as error:  # of an exporter or an engine that this architecture breaks
            log.debug("export=%s", name, exc_info=True)
            problem = f"{type(error).__name__}: {first_line(error)}"
        if problem:
            (student.folder / file).unlink(missing_ok=True)  # an older one is not used either
        else:
            move(made.parent, student.folder / made.parent.name)
    return Export(name, problem, measured)


def move(made: Path, folder: Path) -> None:
    """Move the files in `made` into `folder`, which may hold other exports."""
    folder.mkdir(exist_ok=True)
    for path in made.iterdir():
        shutil.move(str(path), folder / path.name)


def size(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def timed(predictor: Predictor, rows: Sequence[Example]) -> tuple[np.ndarray, float]:
    """Return (logits of the rows, seconds), after a few rows that warm the engine up."""
    texts = [row.texts for row in rows]
    predictor.logits(texts[:8])
    began = time.perf_counter()
    return predictor.logits(texts), time.perf_counter() - began


def compared(
    rows: Sequence[Example], theirs: np.ndarray, ours: np.ndarray, task: Any
) -> dict[str, float]:
    """Return how the answers of a student and of its export agree, and both scores."""
    import numpy as np

    if task.kind == "regression":
        levels = [float(level) for level in task.labels]
        same = np.abs(theirs - ours)[:, 0] <= (max(levels) - min(levels)) / 10
    else:
        same = theirs.argmax(-1) == ours.argmax(-1)
    gold = [row.label for row in rows]
    scores = [
        metric.scores(task, gold, [str(row["predicted"]) for row in answers(logits, task)])
        for logits in (theirs, ours)
    ]
    return {
        "same_labels": float(same.mean()),
        "largest_difference": float(np.abs(theirs - ours).max()),
        "student_score": scores[0][task.metric],
        "score": scores[1][task.metric],
    }


def difference(name: str, measured: Mapping[str, float]) -> str:
    """Return why an export is not kept, or ""."""
    apart, loss = measured["largest_difference"], measured["student_score"] - measured["score"]
    if not math.isfinite(apart):
        return "some of its answers are not numbers"
    if name in EXACT and (measured["same_labels"] < 1 or apart > TOLERANCE):
        return (
            f"it gives other answers than the student (same labels {measured['same_labels']:.1%}, "
            f"largest difference of a logit {apart:.2g}; allowed: {TOLERANCE})"
        )
    if not loss <= LOSS:
        return f"its score {measured['score']:.4f} is {loss:.4f} below the student's"
    return ""


def record(folder: Path, found: Sequence[Export], same: bool) -> None:
    """Write what was measured of the exports that were kept into japagen.json.

    `same`: whether the tokenizer gives the same tokens without transformers.
    """
    about = json.loads((folder / CARD).read_text(encoding="utf-8"))
    measured, refused = dict(about.get("exports") or {}), dict(about.get(REFUSED) or {})
    for one in found:
        measured.pop(one.name, None)
        refused.pop(one.name, None)
        if one.problem:
            refused[one.name] = one.problem
        else:
            measured[one.name] = dict(one.measured)
    about |= {"exports": measured, REFUSED: refused, PLAIN: same}
    write_whole(folder / CARD, json.dumps(about, ensure_ascii=False, indent=2) + "\n")


def metrics(found: Sequence[Export]) -> dict[str, float]:
    """Return what was measured as metrics of a run."""
    return {
        f"export/{one.name}/{key}": value for one in found for key, value in one.measured.items()
    }


def lines(found: Sequence[Export]) -> Iterator[str]:
    """Yield a line for each export: what it is worth, or why it was not kept."""
    for one in found:
        if one.problem:
            yield f"export={one.name} was not kept: {one.problem}. The student itself is saved."
            continue
        was = one.measured
        yield (
            f"export={one.name}: {was['megabytes']:.0f} MB, {was['speedup']:.2f} times as fast as "
            f"torch, {was['same_labels']:.1%} of the labels equal, "
            f"score {was['score']:.4f} (the student on the same rows: {was['student_score']:.4f})"
        )


def first_line(error: Exception) -> str:
    """Return the first line of an error's text that is not empty, at most 200 characters."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:200]
