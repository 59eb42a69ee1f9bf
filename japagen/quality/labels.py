"""Doubted labels, and agreement of the labels with another judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.evaluation import prompting
from japagen.gold import load, metric
from japagen.gold.example import Example
from japagen.quality import classifier, doubt, unit
from japagen.quality.data import SAMPLE, groups, in_order
from japagen.quality.measured import Measured

if TYPE_CHECKING:
    import numpy as np

    from japagen.student.predictor import Predictor


def confident(found: Measured, own: np.ndarray, rows: Sequence[Example]) -> None:
    """Add the rows whose label a classifier of their features doubts."""
    doubts = doubted(found, own, groups(rows, found.data.task))
    if doubts is None:
        return
    judged(found, doubts, rows, "a classifier of vectors, trained on the other rows")


def judged(
    found: Measured, doubts: doubt.Doubts, rows: Sequence[Example], judge: str, short: str = ""
) -> None:
    """Make `doubts`, whose places are those in `rows`, the doubts of the dataset.

    `judge`: who doubts, for the page; `short`: the same before the reason at a row.
    """
    places = {row.id: place for place, row in enumerate(found.data.rows)}
    found.doubted_by = judge
    found.metrics |= doubts.shares()
    moved = [
        doubt.Doubt(places[rows[one.place].id], one.label, one.instead, one.probability)
        for one in doubts.found
    ]
    found.doubts = doubt.Doubts(moved, doubts.confusion, doubts.checked)
    for one in moved:
        why = f"{short}rather {one.instead}, p({one.label}) = {one.probability:.2f}"
        found.suspect(one.place, why)


def doubted(found: Measured, features: np.ndarray, labels: Sequence[str]) -> doubt.Doubts | None:
    """The doubts of a classifier in cross-validation; None, with a note, if it cannot be made."""
    if line := unit.missing("cleanlab"):
        note = f"label issues: not measured. {line}"
        found.notes += [note] if note not in found.notes else []
        return None
    probabilities = classifier.probabilities(features, labels)
    if probabilities is None:
        return None
    return doubt.find(probabilities, labels, sorted(set(labels)))


def agreement(
    found: Measured, rows: Sequence[Example], predicted: Sequence[str], name: str
) -> dict[str, float]:
    """`name` and `name/LABEL`: the share, from 0 to 1, of rows whose label the judge gives as well.

    For regression Spearman's correlation. A prediction that is no label is a disagreement.
    """
    task = found.data.task
    scores = metric.scores(task, [row.label for row in rows], predicted)
    measured = {name: scores["accuracy" if task.kind == "classification" else "spearman"]}
    if task.kind == "classification":
        for label in task.labels:
            own = [
                one == label for row, one in zip(rows, predicted, strict=True) if row.label == label
            ]
            if own:
                measured[f"{name}/{label}"] = sum(own) / len(own)
    return measured


def by_student(found: Measured, folder: Path, batch_size: int) -> list[str]:
    """Add the agreement of a saved student, its score on gold, and the labels it doubts.

    Returns lines for the console. At most 2,000 rows are predicted, and as many gold test rows.
    """
    from japagen.student import saved
    from japagen.student.backend import usable

    data, lines = found.data, list[str]()
    # The weights as they were trained: rounded ones would change the measure.
    backend = "torch_gpu" if usable(folder, "torch_gpu") else "torch"
    opened = saved.load(folder, data.task, backend)
    if opened.card["data"]["name"] != "gold":
        lines.append("This student was not trained on gold, so its agreement says little.")
    if not data.rows:
        return lines
    rows, test = in_order(data.rows, SAMPLE), in_order(data.test, SAMPLE)
    logits = opened.logits([row.texts for row in rows], batch_size)
    found.metrics |= agreement(found, rows, names(logits, opened), "label_correctness")
    if doubts := student_doubts(found, rows, logits):
        judged(found, doubts, rows, f"the student {opened.folder.name}", "the student: ")
        # Doubts of the classifier about gold are no measure for those of the student.
        for name in [name for name in found.metrics if name.startswith("gold_issues")]:
            del found.metrics[name]
    if test:
        logits = opened.logits([row.texts for row in test], batch_size)
        scores = metric.scores(data.task, [row.label for row in test], names(logits, opened))
        found.metrics["student_score"] = scores[data.task.metric]
        if "accuracy" in scores:
            found.metrics["student_accuracy"] = scores["accuracy"]
        if doubts := student_doubts(found, test, logits):
            shares = doubts.shares()
            found.metrics |= {f"gold_{name}": value for name, value in shares.items()}
    return lines


def student_doubts(
    found: Measured, rows: Sequence[Example], logits: np.ndarray
) -> doubt.Doubts | None:
    """The labels of rows that a student doubts; None for regression, or if a label is absent."""
    from japagen.student.predictor import softmax

    labels, names = [row.label for row in rows], found.data.task.labels
    is_regression = found.data.task.kind == "regression"
    if is_regression or set(labels) != set(names) or unit.missing("cleanlab"):
        return None
    return doubt.find(softmax(logits), labels, names)


def names(logits: np.ndarray, opened: Predictor) -> list[str]:
    """The predicted labels, or numbers as text for regression."""
    from japagen.student.predictor import answers

    return [str(row["predicted"]) for row in answers(logits, opened.task)]


def by_llm(found: Measured, asked: prompting.Prompting, number: int) -> None:
    """Ask the LLM for the label of `number` rows and add its agreement.

    A reply without a label is a disagreement. Regression is not measured.
    """
    if found.data.task.kind != "classification":
        found.notes.append("agreement of the LLM: measured for classification only")
        return
    if not found.data.rows:
        return
    rows = load.sample(found.data.rows, number, asked.seed)
    # Apart from the answers to gold rows, whose speed and cost are those of the baseline.
    asked = replace(asked, answer_dir=str(Path(asked.answer_dir) / "synthetic"))
    answers, _ = prompting.labelled(asked, prompting.run(asked, rows), rows)
    predicted = [str(answer["predicted"] or "") for answer in answers]
    found.metrics |= agreement(found, rows, predicted, "llm_agreement")
    places = {row.id: place for place, row in enumerate(found.data.rows)}
    for row, label in zip(rows, predicted, strict=True):
        if label != row.label:
            found.suspect(places[row.id], f"the LLM asked again says {label or 'nothing'}")
