from __future__ import annotations

import json
from pathlib import Path

import pytest

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import TrainConfig
from japagen.dataset import identity
from japagen.training import soft_labels
from japagen.training.sources import TrainingRow
from tests.conftest import Compose

ROWS = [
    TrainingRow("a-0", ("文",), "acceptable", "synthetic"),
    TrainingRow("gold", ("文三",), "acceptable", "gold"),
    TrainingRow("u-0", ("文二",), "unacceptable", "synthetic"),
]


@pytest.fixture
def config(composed: Compose) -> TrainConfig:
    return check(composed("train", "task=jcola", "loss=soft"), TrainConfig)


def write(config: TrainConfig, *lines: object) -> Path:
    path = identity.of(config).folder / soft_labels.FILE
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_rows_get_their_probabilities_and_gold_is_certain(config: TrainConfig) -> None:
    write(
        config,
        {"id": "u-0", "probabilities": [0.75, 0.25]},
        {"id": "a-0", "probabilities": [0.25, 0.75]},
    )
    assert soft_labels.probabilities(ROWS, identity.of(config)).tolist() == [
        [0.25, 0.75],
        [0.0, 1.0],
        [0.75, 0.25],
    ]


def test_an_absent_file_says_who_writes_it(config: TrainConfig) -> None:
    with pytest.raises(
        UserError, match=r"loss=soft needs .*soft.jsonl, which does not exist: .*filter=soft"
    ):
        soft_labels.probabilities(ROWS, identity.of(config))


def test_a_row_without_a_line_is_named(config: TrainConfig) -> None:
    write(config, {"id": "a-0", "probabilities": [0.25, 0.75]})
    with pytest.raises(
        UserError, match="no line for 1 of the 2 synthetic training rows, the first is 'u-0'"
    ):
        soft_labels.probabilities(ROWS, identity.of(config))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            {"id": "a-0", "probabilities": [1.0]},
            "line 1: probabilities must be 2 shares that sum to 1",
        ),
        (
            {"id": "a-0", "probabilities": [0.5, 0.2]},
            "line 1: probabilities must be 2 shares that sum to 1",
        ),
        ({"id": "a-0"}, "line 1: KeyError: 'probabilities'; allowed"),
        ([], "line 1: TypeError"),
    ],
)
def test_a_wrong_line_is_named(config: TrainConfig, line: object, message: str) -> None:
    path = write(config, line)
    with pytest.raises(UserError, match=message):
        soft_labels.read(path, config.task)
