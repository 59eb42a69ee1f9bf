"""What a run says of itself: its row in the table, its seed, and how much data it used."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from japagen.tracking import Recorded

# The order of the rows. A method that matches none comes between the last two.
ORDER = (
    r"^(prompting|cosine)",
    r"^zero-shot",
    r"^\d+-shot",
    r"^knowledge",
    r"^mixed",
    r"^few gold",
    r"^gold",
)
# Options that change no score, or that stand elsewhere: in the method's name, the seed, the size.
ALIKE = re.compile(
    r"seed|dataset_seed|(data\.)?num_per_label|data\.(fraction|shots)|\w+_dir|mlflow_uri|logger.*|"
    r"push_to_hub|filter\.(min_confirmed|check_after)|rerun|objective|export|dry_run|estimate|subject|limit|max_attempts|max_shortfall|"
    r"llm\.(writers\.\w+\.)?(price_.*|concurrency|serve|licence|base_url|api_key_env|engine\..*|max_cost|_target_)|student\.(batch_size|path)|"
    r"trainer|trainer\.(save_steps|compile|options\.(devices|accelerator|strategy|num_nodes|enable_.*))|"
    r"llm|student|task|data|loss|filter|prompt|shots"
)
UNTRAINED = ("prompting", "encoder")  # subjects of evaluate.py that are baselines
OPTIONS = "options"  # the tag that `with_differing_options` gives
LARGEST = 1e300  # MLflow stores an infinite number as the largest float


@dataclass(frozen=True)
class Row:
    """One line of the table: the method, its LLM and its student, "" where it has none.

    `options` are those by which runs of the same method differ, e.g. `student.learning_rate=3e-05`.
    """

    method: str
    llm: str = ""
    student: str = ""
    options: str = ""


def usable(number: float) -> bool:
    """Whether `number` is neither NaN nor infinite."""
    return math.isfinite(number) and abs(number) < LARGEST


def finite(run: Recorded) -> Recorded:
    """`run` without metrics that are not numbers; one of them would spoil every mean."""
    kept = {key: one for key, one in run.metrics.items() if usable(one)}
    return dataclasses.replace(run, metrics=kept)


def value(run: Recorded, key: str) -> str:
    """The tag `key`, else the param, else ""."""
    return run.tags.get(key) or run.params.get(key, "")


def number(run: Recorded, key: str) -> float | None:
    """The param `key` as a number, or None."""
    try:
        found = float(run.params[key])
    except (KeyError, ValueError):
        return None
    return found if usable(found) else None


def seed(run: Recorded) -> str:
    """The seed of the training, with that of its dataset if it differs."""
    other = value(run, "dataset_seed")
    return value(run, "seed") + (f" (dataset {other})" if other else "")


def row(run: Recorded) -> Row:
    """The row of a scored run."""
    # Params name an LLM even where none was used, so there only tags count.
    gold = "gold" in value(run, "data") or value(run, "subject") == "encoder"
    llm = run.tags.get("llm", "") if gold else value(run, "llm")
    student = "" if value(run, "subject") == "prompting" else value(run, "student")
    method = run.tags.get("method") or "unnamed method"
    return Row(method, llm, student, run.tags.get(OPTIONS, ""))


def matters(run: Recorded, key: str) -> bool:
    """Whether the param `key` can change the score of the run."""
    if ALIKE.fullmatch(key):
        return False
    if value(run, "subject") == "prompting":
        return key.startswith(("llm.", "question.", "task.")) or key in ("shots_scope", "max_chars")
    if value(run, "subject") == "encoder":
        return key.startswith("task.")
    if value(run, "data") in ("gold", "few_gold"):
        return key.startswith(("student.", "loss.", "trainer.", "data.", "task."))
    return True


def with_differing_options(runs: Iterable[Recorded]) -> list[Recorded]:
    """The runs, each with a tag for the options by which runs of the same method differ.

    An option that a run does not name, because its version had none, tells nothing apart.
    """
    runs, values = list(runs), defaultdict[tuple[str, Row, str], set[str]](set)
    for run in runs:
        if has_score(run):
            for key, text in run.params.items():
                if matters(run, key):
                    values[run.task, row(run), key].add(text)
    differing = defaultdict[Row, set[str]](set)
    for (_, one, key), found in values.items():
        if len(found) > 1:
            differing[one].add(key)
    made = []
    for run in runs:
        keys = sorted(differing[row(run)]) if has_score(run) else []
        words = " ".join(f"{key}={run.params[key]}" for key in keys if key in run.params)
        made.append(dataclasses.replace(run, tags={**run.tags, OPTIONS: words}) if words else run)
    return made


def has_score(run: Recorded) -> bool:
    """Whether the run has a place in the table."""
    # The score of a saved student is that of its training, which is a run of its own.
    again = value(run, "subject") == "student"
    return run.status == "FINISHED" and in_table(run) and not again and "score" in run.metrics


def size(run: Recorded) -> float | None:
    """The training examples per label; None if the run does not say (all of gold, no training)."""
    if value(run, "subject") in UNTRAINED:
        return None
    limit, share = number(run, "data.num_per_label"), number(run, "data.fraction")
    if value(run, "data") == "few_gold":
        limit = number(run, "data.shots") or limit
    made = None if "gold" in value(run, "data") else number(run, "num_per_label")
    known = [one for one in (limit, made) if one is not None]
    return min(known) * (share or 1.0) if known else None


def fraction(run: Recorded) -> float:
    """The share of the training data that was used."""
    return number(run, "data.fraction") or 1.0


def in_table(run: Recorded) -> bool:
    """Whether the run scores a method: a training, or an evaluation of one but a dataset."""
    stage, subject = run.tags.get("stage"), value(run, "subject")
    return stage == "train" or (stage == "evaluate" and subject in (*UNTRAINED, "student"))


def scored(runs: Iterable[Recorded]) -> list[Recorded]:
    """The finished runs with a score on gold; the newest of each repeated job."""
    newest: dict[tuple[object, ...], Recorded] = {}
    for run in sorted(runs, key=lambda run: run.began):
        if has_score(run):
            newest[run.task, row(run), seed(run), size(run), fraction(run)] = run
    return list(newest.values())


def largest(runs: Sequence[Recorded]) -> list[Recorded]:
    """The runs that used the most training examples."""
    # A run that names no number used all there is.
    sizes = [(math.inf if (known := size(run)) is None else known, fraction(run)) for run in runs]
    return [run for run, found in zip(runs, sizes, strict=True) if found == max(sizes)]


def names(runs: Iterable[Recorded]) -> dict[Row, str]:
    """The name of each row, in the table's order, with LLM and student if there are several."""
    rows = {row(run) for run in runs}
    llms, students = {one.llm for one in rows} - {""}, {one.student for one in rows} - {""}
    made = {}
    for one in sorted(rows, key=lambda one: (rank(one.method), one.llm, one.student, one.options)):
        llm = f" · {one.llm}" if one.llm and len(llms) > 1 else ""
        student = f" → {one.student}" if one.student and len(students) > 1 else ""
        options = f" · {one.options}" if one.options else ""
        made[one] = f"{one.method}{llm}{student}{options}"
    return made


def rank(method: str) -> tuple[float, list[tuple[int, str]]]:
    """The place of a method in the table; numbers in names are compared as numbers."""
    found = (i for i, pattern in enumerate(ORDER) if re.search(pattern, method))
    parts = [
        # Longer digit strings than Python converts are compared as text.
        (int(part), "") if part.isdecimal() and len(part) < 20 else (0, part)
        for part in re.split(r"(\d+)", method)
    ]
    return next(found, len(ORDER) - 1.5), parts
