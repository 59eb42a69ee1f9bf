"""evaluate.py subject=dataset: the quality of a synthetic dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from japagen.config.task import Task
from japagen.evaluation import quality
from japagen.gold import load
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing

if TYPE_CHECKING:
    from japagen.student.predictor import Predictor


def measure(
    rows: Sequence[Example], task: Task, gold_dir: str | None
) -> tuple[dict[str, float], list[str]]:
    """(quality measures, compared with gold rows if there are any; lines for the console)."""
    try:
        return quality.measure(rows, load.load(task, "test", gold_dir), task), []
    except GoldMissing as missing:
        return quality.measure(rows, [], task), [f"Not compared with gold. {missing}"]


def label_correctness(
    rows: Sequence[Example], task: Task, opened: Predictor | None, batch_size: int
) -> tuple[dict[str, float], list[str]]:
    """(agreement of a saved student with the rows' labels, lines with an example that differs)."""
    if opened is None:
        needed = "give a student trained on gold: student.path=FOLDER"
        return {}, [f"label correctness: not measured; {needed}"]
    lines = []
    if opened.card["data"]["name"] != "gold":
        lines.append("This student was not trained on gold, so its agreement says little.")
    predictions = opened.predict([row.texts for row in rows], batch_size)
    if task.kind == "classification":
        lines += disagreement(rows, predictions)
    predicted = [row["predicted"] for row in predictions]
    return quality.label_correctness(rows, predicted, task), lines


def disagreement(rows: Sequence[Example], predictions: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line with the first row that the student confidently gives another label; or none."""
    for row, prediction in zip(rows, predictions, strict=True):
        label = prediction["predicted"]
        if label != row.label and prediction["probability"] > 0.5:
            return [
                f"for example {row.id}, which the student calls {label}: {' / '.join(row.texts)}"
            ]
    return []


def quality_table(title: str, measured: Mapping[str, float]) -> Any:
    """The measures of a dataset beside those of gold rows, as a rich table."""
    from rich.table import Table

    table = Table("", "synthetic", "gold", title=title)
    for key, value in measured.items():
        name = key.removeprefix("quality/")
        if not name.startswith("gold_"):
            gold = measured.get(f"quality/gold_{name}")
            table.add_row(name, f"{value:.4g}", "" if gold is None else f"{gold:.4g}")
    return table
