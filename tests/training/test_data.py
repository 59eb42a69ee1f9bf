from __future__ import annotations

from collections.abc import Sequence

import pytest

from japagen.config.error import UserError
from japagen.gold.example import Example
from japagen.student import tiny
from japagen.student.tokens import Tokens
from japagen.training import data, split
from japagen.training.identity import Training
from japagen.training.sources import TrainingRow
from tests.training.toy_rows import BOTH, Make, named


def module(training: Training, train: Sequence[Example], source: str = "gold") -> data.DataModule:
    marked = split.marked(train, source)
    parts = split.Parts(marked, marked[:5], list(train[5:]))
    return data.DataModule(parts, training, Tokens(tiny.characters(64), training.student, None))


def test_a_batch_is_padded_to_its_own_longest_row(make: Make) -> None:
    training = make()
    labels = training.task.labels
    examples = [Example(str(n), ("あ" * (n + 1),), labels[n % 2]) for n in range(20)]
    loader = module(training, examples)
    loader.setup("fit")
    batches = list(loader.predict_dataloader())
    assert [batch["input_ids"].shape for batch in batches] == [(8, 15), (7, 22)]
    assert batches[0]["input_ids"][0].tolist()[-7:] == [0] * 7
    assert batches[0]["attention_mask"][0].sum() == 8
    assert batches[0]["row"].tolist() == list(range(8))
    assert batches[0]["target"].tolist() == [1, 0, 1, 0, 1, 0, 1, 0]


@pytest.mark.slow
def test_the_weight_of_a_row_is_that_of_its_source(make: Make) -> None:
    training = make("data=mixed", "data.gold_weight=3")
    train = [
        TrainingRow(row.id, row.texts, row.label, "gold" if n % 3 else "synthetic")
        for n, row in enumerate(named("row", BOTH))
    ]
    tokens = Tokens(tiny.characters(64), training.student, None)
    loader = data.DataModule(split.Parts(train, train[:4], list(train[4:])), training, tokens)
    loader.setup("fit")
    assert loader.tables["train"][[0, 1, 2, 3]]["weight"].tolist() == [1, 3, 3, 1]
    assert "weight" not in loader.tables["valid"][[0]]
    plain = module(make(), named("row", BOTH))
    plain.setup("fit")
    assert "weight" not in plain.tables["train"][[0]]


def test_gold_rows_come_last_wherever_they_are_in_the_table(make: Make) -> None:
    training = make("data=mixed", "data.order=synthetic_first", "data.synthetic_share=0.5")
    train = [
        TrainingRow(row.id, row.texts, row.label, "gold" if n % 4 == 0 else "synthetic")
        for n, row in enumerate(named("row", BOTH))
    ]
    tokens = Tokens(tiny.characters(64), training.student, None)
    loader = data.DataModule(split.Parts(train, train[:4], list(train[4:])), training, tokens)
    loader.setup("fit")
    sources = [
        {train[row].source for row in batch["row"].tolist()} for batch in loader.train_dataloader()
    ]
    assert sources == [{"synthetic"}] * 5 + [{"gold"}] * 5


@pytest.mark.slow
@pytest.mark.parametrize("unknown", [0, 1])
def test_more_than_a_hundredth_of_unknown_tokens_is_a_warning(
    make: Make, caplog: pytest.LogCaptureFixture, unknown: int
) -> None:
    labels = make().task.labels
    rows = [
        Example(str(n), (f"犬が{n}匹走る。" + "🐕" * unknown,), labels[n % 2]) for n in range(20)
    ]
    module(make(), rows).setup("fit")
    assert ("are unknown to the tokenizer of tiny" in caplog.text) == bool(unknown)


@pytest.mark.slow
def test_rows_of_unknown_tokens_alone_are_refused(make: Make) -> None:
    labels = make().task.labels
    rows = [Example(str(n), ("ᚠᚢᚦ" * 5,), labels[n % 2]) for n in range(20)]
    with pytest.raises(UserError, match=r"100 % of the tokens of the training rows are unknown"):
        module(make(), rows).setup("fit")
