"""A report on many runs, shared by the tests."""

from __future__ import annotations

import pytest

from japagen.report import summary
from tests.report.stores import Store, fill, reported


@pytest.fixture(scope="session")
def full() -> summary.Summary:
    """The report on everything that `fill` makes, read by many tests."""
    store = Store()
    fill(store)
    return reported(store)
