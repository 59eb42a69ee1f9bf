"""Trainings made from options, and rows in place of datasets and gold files."""

from __future__ import annotations

import pytest

from japagen.config.check import check
from japagen.config.schema import TrainConfig
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.training import identity
from japagen.training.identity import Training
from japagen.training.sources import synthetic
from tests.conftest import Compose
from tests.training.toy_rows import Make, Pools


@pytest.fixture
def make(composed: Compose) -> Make:
    """make("data=gold", ...) -> the training that options name."""

    def made(*options: str) -> Training:
        words = ["task=jcola", "student=tiny", "data.batch_size=8", *options]
        return identity.of(check(composed("train", *words), TrainConfig))

    return made


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Pools:
    """What is read: "train" (of any source), "synthetic" and, if it is there, gold "test"."""
    found: Pools = {}

    def loaded(task: object, split: str, folder: str | None) -> list[Example]:
        if split not in found:
            raise GoldMissing("no gold: put it there")
        return found[split]

    monkeypatch.setattr("japagen.gold.load.load", loaded)
    monkeypatch.setattr(
        synthetic, "read", lambda origin: found.get("synthetic", found.get("train", []))
    )
    return found
