from __future__ import annotations

from japagen.training import early_stopping


def test_early_stopping_waits_for_gold_rows_that_come_last() -> None:
    (callback,) = early_stopping.callbacks(3, gold_last=False)
    assert (callback.patience, callback.monitor, callback.mode) == (3, "choice", "max")
    assert early_stopping.callbacks(0, gold_last=False) == []
    assert early_stopping.callbacks(3, gold_last=True) == []
