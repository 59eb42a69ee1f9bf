"""Runs of the MLflow store -> the rows, columns and cells of a report's table."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from japagen.report import significance
from japagen.tracking import Recorded

# The order of the rows; a method that none of these finds comes between the last two.
ORDER = (
    r"^prompting",
    r"^zero-shot",
    r"^\d+-shot",
    r"^knowledge",
    r"^mixed",
    r"^few gold",
    r"^gold",
)


@dataclass(frozen=True)
class Row:
    """One line of the table: how the answers were made, with which LLM, by which student ("" where there is none)."""

    method: str
    llm: str = ""
    student: str = ""


@dataclass
class Cell:
    """The runs of one row and task, one a seed; `p` and `how` tell of the comparison with the column's reference."""

    runs: list[Recorded]
    p: float | None = None
    how: str = ""

    @property
    def scores(self) -> list[float]:
        """The score of each run."""
        return [run.metrics["score"] for run in self.runs]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation over the seeds; None for a single one."""
        return statistics.stdev(self.scores) if len(self.runs) > 1 else None


@dataclass
class Column:
    """A task with its cells; `others` are the runs of sizes that the table does not show."""

    task: str
    metric: str
    cells: dict[Row, Cell]
    majority: float | None = None
    best: Row | None = None
    reference: Row | None = None
    others: list[Recorded] = field(default_factory=list)


def value(run: Recorded, key: str) -> str:
    """The tag, else the param, else ""."""
    return run.tags.get(key) or run.params.get(key, "")


def number(run: Recorded, key: str) -> float | None:
    """The param as a number, or None."""
    try:
        return float(run.params[key])
    except (KeyError, ValueError):
        return None


def seed(run: Recorded) -> str:
    """The seed of the training, with that of its dataset where it is another one."""
    return value(run, "seed") + (
        f" (dataset {other})" if (other := value(run, "dataset_seed")) else ""
    )


def method(run: Recorded) -> str:
    """The tag `method`, else a name made from what the run was told."""
    return run.tags.get("method") or derived(run)


def derived(run: Recorded) -> str:
    """A method's name from the params alone."""
    shots, data = value(run, "shots") or "0", value(run, "data") or "synthetic"
    if value(run, "subject") == "prompting":
        return f"prompting {shots}-shot"
    if data != "synthetic":
        few = number(run, "data.num_per_label")
        return f"few gold {few:g}" if "gold" in data and few else data.replace("_", " ")
    shot = "zero-shot" if shots == "0" else f"{shots}-shot"
    prompt = value(run, "prompt")
    name = (
        shot
        if prompt in ("zero_shot", "few_shot", "")
        else prompt + ("" if shots == "0" else f" {shot}")
    )
    kept = value(run, "filter")
    return name if kept in ("none", "") else f"{name} {kept}"


def row(run: Recorded) -> Row:
    """The row of a scored run; params name an LLM even where gold alone was used, so that there only tags count."""
    gold = "gold" in value(run, "data")
    llm = run.tags.get("llm", "") if gold else value(run, "llm")
    return Row(
        method(run), llm, "" if value(run, "subject") == "prompting" else value(run, "student")
    )


def size(run: Recorded) -> float | None:
    """The training examples of each label, or None where the run does not say (all of gold, prompting)."""
    if value(run, "subject") == "prompting":
        return None
    limit, fraction = number(run, "data.num_per_label"), number(run, "data.fraction")
    if value(run, "data") == "few_gold":
        limit = number(run, "data.shots") or limit
    made = None if "gold" in value(run, "data") else number(run, "num_per_label")
    known = [one for one in (limit, made) if one is not None]
    return min(known) * (fraction or 1.0) if known else None


def fraction(run: Recorded) -> float:
    """The share of the training data that was used."""
    return number(run, "data.fraction") or 1.0


def in_table(run: Recorded) -> bool:
    """Whether the run says how good something is: a training, or an evaluation of prompting or of a student."""
    stage, subject = run.tags.get("stage"), value(run, "subject")
    return stage == "train" or (stage == "evaluate" and subject in ("prompting", "student"))


def scored(runs: Iterable[Recorded]) -> list[Recorded]:
    """The finished runs with a score on gold; of a repeated job the newest."""
    newest: dict[tuple[object, ...], Recorded] = {}
    for run in sorted(runs, key=lambda run: run.began):
        # A saved student's score is that of its training, which is there, too; its evaluation says how fast it is.
        again = value(run, "subject") == "student"
        if run.status == "FINISHED" and in_table(run) and not again and "score" in run.metrics:
            newest[run.task, row(run), seed(run), size(run), fraction(run)] = run
    return list(newest.values())


def columns(runs: Sequence[Recorded], reference: str = "") -> list[Column]:
    """A column for each task of the scored `runs`, with its best row and the p-values."""
    tasks: dict[str, list[Recorded]] = defaultdict(list)
    for run in runs:
        tasks[run.task].append(run)
    made = [column(task, found) for task, found in sorted(tasks.items())]
    label = names(runs)
    for one in made:
        one.reference = (
            next((row for row in one.cells if label[row] == reference), None)
            if reference
            else one.best
        )
        compare(one)
    return made


def column(task: str, runs: Sequence[Recorded]) -> Column:
    """The cells of a task: of each row the runs of the largest size, the smaller ones among the `others`."""
    cells: dict[Row, list[Recorded]] = defaultdict(list)
    for run in runs:
        cells[row(run)].append(run)
    made, others = {}, list[Recorded]()
    for key, found in cells.items():
        made[key] = Cell(largest(found))
        others += [run for run in found if run not in made[key].runs]
    metric = next(
        (run.params["task.metric"] for run in runs if "task.metric" in run.params), "score"
    )
    shares = [
        run.metrics["majority/accuracy"] for run in runs if "majority/accuracy" in run.metrics
    ]
    best = max(made, key=lambda key: made[key].mean)
    return Column(
        task,
        metric,
        made,
        shares[-1] if shares and metric == "accuracy" else None,
        best,
        None,
        others,
    )


def largest(runs: Sequence[Recorded]) -> list[Recorded]:
    """Those that used the most training examples."""
    # Without a number it is all there is.
    sizes = [(math.inf if (known := size(run)) is None else known, fraction(run)) for run in runs]
    return [run for run, found in zip(runs, sizes, strict=True) if found == max(sizes)]


def compare(column: Column) -> None:
    """Fill in the p-values of all cells against the column's reference, corrected by Holm's method."""
    if column.reference is None or len(column.cells) < 2:
        return
    drawn = {
        key: significance.resampled(column.metric, [predictions(run) for run in cell.runs])
        for key, cell in column.cells.items()
    }
    other = column.cells[column.reference]
    tested = []
    for key, cell in column.cells.items():
        if key == column.reference:
            continue
        cell.p, cell.how = significance.bootstrap(drawn[key], drawn[column.reference]), "bootstrap"
        if cell.p is None:
            cell.p, cell.how = significance.t_test(by_seed(cell), by_seed(other)), "t-test"
        tested += [cell] if cell.p is not None else []
    for cell, p in zip(tested, significance.holm([cell.p or 0.0 for cell in tested]), strict=True):
        cell.p = p


def by_seed(cell: Cell) -> dict[str, float]:
    """The score of each seed."""
    return {seed(run): run.metrics["score"] for run in cell.runs}


def predictions(run: Recorded) -> dict[str, tuple[str, str]]:
    """(gold, predicted) of each gold row by its id, from the artifact predictions.jsonl; {} where it is absent or torn."""
    try:
        rows = [
            json.loads(line)
            for line in (run.read("predictions.jsonl") or "").splitlines()
            if line.strip()
        ]
        return {str(row["id"]): (str(row["gold"]), str(row["predicted"])) for row in rows}
    except (ValueError, KeyError, TypeError):
        return {}


def names(runs: Iterable[Recorded]) -> dict[Row, str]:
    """What each row is called, in the order of the table; LLM and student are named where there is more than one."""
    rows = {row(run) for run in runs}
    llms, students = {one.llm for one in rows} - {""}, {one.student for one in rows} - {""}
    made = {}
    for one in sorted(rows, key=lambda one: (rank(one.method), one.llm, one.student)):
        llm = f" · {one.llm}" if one.llm and len(llms) > 1 else ""
        made[one] = f"{one.method}{llm}" + (
            f" → {one.student}" if one.student and len(students) > 1 else ""
        )
    return made


def rank(method: str) -> tuple[float, list[tuple[int, str]]]:
    """The place of a method in the table; numbers in names count as numbers."""
    place = next(
        (i for i, pattern in enumerate(ORDER) if re.search(pattern, method)), len(ORDER) - 1.5
    )
    return place, [
        (int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", method)
    ]
