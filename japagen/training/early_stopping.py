"""Early stopping: end a training whose validation score no longer improves."""

from __future__ import annotations

from lightning.pytorch.callbacks import EarlyStopping


def callbacks(patience: int, gold_last: bool) -> list[EarlyStopping]:
    """Return the callback that stops after `patience` validations without a better score.

    None for patience 0, and if gold rows are trained on last: it could stop before they come.
    """
    if not patience or gold_last:
        return []
    return [EarlyStopping("choice", mode="max", patience=patience, check_on_train_epoch_end=False)]
