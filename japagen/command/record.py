"""What a training sends to MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from japagen import tracking
from japagen.config.schema import TrainConfig
from japagen.dataset import table
from japagen.gold import mistakes
from japagen.training import identity
from japagen.training.identity import Training

if TYPE_CHECKING:
    from japagen.training.fit import Fitted
    from japagen.training.split import Parts


def results(training: Training, parts: Parts, fitted: Fitted, track: tracking.Run) -> None:
    """Send metrics, predictions, digests of the rows and the confusion matrix to tracking."""
    task, rows = training.task, fitted.rows
    track.metrics(fitted.measured)
    track.rows(mistakes.with_texts(rows, parts.test, task), "predictions.jsonl")
    track.text(mistakes.markdown(rows, parts.test, task), "errors.md")
    place = training.data.describe(training.dataset)
    for name, examples, source, context in (
        ("train", parts.train, place, "training"),
        ("valid", parts.valid, place, "training"),
        ("test", parts.test, place if parts.no_gold else "gold", "evaluation"),
    ):
        track.dataset(list(table.rows(examples, task)), f"{task.name} {name}", source, context)
    if task.kind == "classification":
        gold, predicted = [row["gold"] for row in rows], [row["predicted"] for row in rows]
        track.figure(tracking.confusion(gold, predicted, task.labels), "confusion.svg")


def dataset_tags(config: TrainConfig) -> dict[str, str]:
    """Return the tags that connect a run to the run that made its dataset."""
    training = identity.of(config)
    if not training.synthetic:
        return {}
    made = training.dataset.fingerprint
    return {
        "fingerprint": made,
        "generating_run": tracking.latest(tracking.job_of(config, "generate"), made),
    }
