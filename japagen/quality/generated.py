"""The quality of a dataset that was just generated, as far as no model is needed."""

from __future__ import annotations

import logging
import random

from japagen import tracking
from japagen.config.error import UserError
from japagen.dataset.identity import Dataset
from japagen.dataset.table import asked

log = logging.getLogger(__name__)

ROWS = 10_000  # which takes seconds


def is_missing(dataset: Dataset) -> bool:
    """Whether a dataset was not measured, because the process that finished it was killed."""
    from japagen.quality.show import PAGE

    return not (dataset.folder / PAGE).exists()


def measure(dataset: Dataset, accepted: int, gold_dir: str | None, track: tracking.Run) -> None:
    """Record and print the cheap measures of at most 10,000 of the `accepted` rows."""
    from japagen.quality import data, show
    from japagen.quality.measure import cheap

    kept = set(random.Random(data.SEED).sample(range(accepted), min(accepted, ROWS)))
    some = [row for place, row in enumerate(asked(dataset)) if place in kept]
    try:
        beside, _ = data.beside_gold(some, dataset.task, gold_dir, fetch=False)
    except UserError as error:  # a gold file with a mistake: the dataset is complete all the same
        log.warning("The rows are measured without gold rows. %s", error)
        beside = data.Data(dataset.task, some)
    found = cheap(beside)
    show.say(show.lines(found, show.record(found, dataset.folder, track)))
