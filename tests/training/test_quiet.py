from __future__ import annotations

import logging
import warnings

import pytest
from transformers.utils import logging as transformers_logging

from japagen.training.quiet import LEVELS, quiet


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.CRITICAL])
def test_levels_and_progress_bars_are_as_before(level: int, failing: bool) -> None:
    loggers = [logging.getLogger(name) for name in LEVELS]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(level)
        transformers_logging.enable_progress_bar()
        try:
            with quiet():
                assert [logger.level for logger in loggers] == list(LEVELS.values())
                assert not transformers_logging.is_progress_bar_enabled()
                if failing:
                    raise RuntimeError
        except RuntimeError:
            pass
        assert [logger.level for logger in loggers] == [level] * len(loggers)
        assert transformers_logging.is_progress_bar_enabled()
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.setLevel(old)


def test_other_warnings_are_shown() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("the train_dataloader does not have many workers", stacklevel=1)
            warnings.warn("something is wrong", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["something is wrong"]
