"""Options that every choice of the data group has."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from japagen.config.limit import limited


@dataclass
class Data:
    """Rows to train on; a choice's own options are the fields of its class (training/sources/).

    `valid`: the share of the rows that is used to choose the checkpoint.
    `num_per_label`: at most this many rows of each label and source, drawn by seed; null for all.
    `fraction`: train on this share of the rows of each label. A smaller share is a subset of a
    larger one, and the validation rows are the same for all.
    `near_duplicate`: remove training rows that are at least this similar to a gold test row
    (0 to 1); 0 removes only rows with the same text.
    `test_limit`: score on this many gold test rows, drawn by seed, for a quick estimate. The
    metrics are called partial/..., and there is no score; null for all.
    """

    name: str = MISSING
    batch_size: int = limited(32, least=1)
    valid: float = limited(0.1, above=0, below=1)
    num_per_label: int | None = limited(None, least=2)
    fraction: float = limited(1.0, above=0, most=1)
    near_duplicate: float = limited(0.9, least=0, most=1)
    test_limit: int | None = limited(None, least=1)
