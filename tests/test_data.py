from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from japagen import batch, data, gold, pretrained, store
from japagen.check import check
from japagen.config import Student, TrainConfig, UserError
from japagen.gold import Example, GoldMissing
from japagen.tokens import Tokens

Compose = Callable[..., DictConfig]


def rows(labels: dict[str, int], texts: int = 1) -> list[Example]:
    return [Example(f"{label}-{n}", (f"{label}の文{n}",) * texts, label) for label, count in labels.items() for n in range(count)]


@pytest.fixture
def config(composed: Compose) -> TrainConfig:
    return check(composed("train", "task=jcola", "student=tiny", "data.batch_size=8"), TrainConfig)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Example]]:
    """What the next data.parts reads: train (of any source) and, where it is there, gold test."""
    found: dict[str, list[Example]] = {}

    def load(task: object, split: str, folder: str | None) -> list[Example]:
        if split not in found:
            raise GoldMissing("no gold: put it there")
        return found[split]

    monkeypatch.setattr(gold, "load", load)
    monkeypatch.setitem(data.SOURCES, "synthetic", lambda config: found["train"])
    return found


def test_a_bucket_epoch_has_every_row_once_and_another_order_than_the_last() -> None:
    lengths = [n % 37 for n in range(1003)]
    buckets = batch.Buckets(lengths, 16, seed=1)
    first = list(buckets)
    assert len(first) == len(buckets) == 63
    assert sorted(row for batch in first for row in batch) == list(range(1003))
    assert first == list(buckets) == list(batch.Buckets(lengths, 16, seed=1))
    buckets.set_epoch(1)
    assert first != list(buckets)
    assert sorted(row for batch in buckets for row in batch) == list(range(1003))
    assert first != list(batch.Buckets(lengths, 16, seed=2))


def test_buckets_pad_less_than_random_batches() -> None:
    lengths = [5 + n * 7919 % 60 for n in range(2000)]
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in batch.Buckets(lengths, 32, seed=0))
    assert padded < 1.2 * sum(lengths)


def test_valid_is_a_share_of_every_label_and_apart_from_train(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources |= {"train": rows({"acceptable": 60, "unacceptable": 20}), "test": rows({"acceptable": 3})}
    parts = data.parts(config)
    labels = [row.label for row in parts.valid]
    assert (labels.count("acceptable"), labels.count("unacceptable"), len(parts.train)) == (6, 2, 72)
    assert not {row.id for row in parts.train} & {row.id for row in parts.valid}
    assert parts.test == sources["test"]
    assert parts.no_gold == ""
    assert data.parts(config) == parts


def test_without_gold_a_part_of_the_synthetic_rows_is_held_out(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources["train"] = rows({"acceptable": 40, "unacceptable": 40})
    parts = data.parts(config)
    assert "put it there" in parts.no_gold
    assert len(parts.test) == 8
    ids = [{row.id for row in part} for part in (parts.train, parts.valid, parts.test)]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 80


def test_gold_training_without_gold_is_an_error(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources["train"] = rows({"acceptable": 40, "unacceptable": 40})
    config.data.name = "gold"
    with pytest.raises(GoldMissing):
        data.parts(config)


def test_an_absent_label_is_named(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources |= {"train": rows({"acceptable": 40}), "test": rows({"acceptable": 3})}
    with pytest.raises(UserError, match="no example of label unacceptable of task jcola: generate with a higher num_per_label"):
        data.parts(config)


def test_too_few_rows_are_an_error(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources |= {"train": rows({"acceptable": 1, "unacceptable": 1}), "test": rows({"acceptable": 3})}
    with pytest.raises(UserError, match="2 rows are too few to keep some for 'valid': give a higher num_per_label"):
        data.parts(config)


def test_num_per_label_draws_rows_of_each_label(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources |= {"train": rows({"acceptable": 60, "unacceptable": 20}), "test": rows({"acceptable": 3})}
    config.data.num_per_label = 10
    parts = data.parts(config)
    assert len(parts.train) + len(parts.valid) == 20
    assert data.parts(config) == parts


def test_scores_are_split_by_their_nearest_level(composed: Compose) -> None:
    config = check(composed("train", "task=jsts", "student=tiny"), TrainConfig)
    examples = [Example(str(n), ("文", "文"), str(n % 50 / 10)) for n in range(500)]
    rest, valid = data.split(examples, config, "valid")
    assert len(rest) == 450
    assert {round(float(row.label)) for row in valid} == set(range(6))
    assert data.targets(examples[:3], config.task) == [0.0, 0.1, 0.2]


@pytest.mark.parametrize("texts", [1, 2])
def test_tokens_are_the_tokenizers_own_and_cut_to_max_length(texts: int) -> None:
    student = Student(name="tiny", max_length=16, prefix="問:")
    tokenizer = pretrained.characters(16)
    examples = [Example("0", ("短い文",) * texts, "a"), Example("1", ("とても長い文" * 9,) * texts, "a")]
    columns, cut = Tokens(tokenizer, student, None).columns(examples)
    assert cut == 1
    assert [len(ids) for ids in columns["input_ids"]] == [7 if texts == 1 else 11, 16]
    assert tokenizer.decode(columns["input_ids"][0]).replace(" ", "").startswith("[CLS]問:短い文[SEP]")
    assert [max(ids) for ids in columns["token_type_ids"]] == [texts - 1] * 2


def test_a_batch_is_padded_to_its_own_longest_row(config: TrainConfig) -> None:
    examples = [Example(str(n), ("あ" * (n + 1),), config.task.labels[n % 2]) for n in range(20)]
    module = data.DataModule(
        data.Parts(examples, examples[:5], examples[5:]), config, Tokens(pretrained.characters(64), config.student, None)
    )
    module.setup("fit")
    batches = list(module.predict_dataloader())
    assert [batch["input_ids"].shape for batch in batches] == [(8, 15), (7, 22)]
    assert batches[0]["input_ids"][0].tolist()[-7:] == [0] * 7
    assert batches[0]["attention_mask"][0].sum() == 8
    assert batches[0]["row"].tolist() == list(range(8))
    assert batches[0]["target"].tolist() == [1, 0, 1, 0, 1, 0, 1, 0]


def test_synthetic_rows_come_from_the_store() -> None:
    assert data.SOURCES["synthetic"] is store.read
