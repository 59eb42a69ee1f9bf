from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import Student, TrainConfig
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.gold.load import draw_shots
from japagen.student import batch, pretrained
from japagen.student.tokens import Tokens
from japagen.training import data, leakage

Compose = Callable[..., DictConfig]


def rows(labels: dict[str, int], texts: int = 1) -> list[Example]:
    return [
        Example(f"{label}-{n}", (f"{label}の文{n}",) * texts, label)
        for label, count in labels.items()
        for n in range(count)
    ]


def named(name: str, labels: dict[str, int]) -> list[Example]:
    """rows(labels) with ids and texts of their own."""
    return [
        Example(f"{name}-{row.id}", (f"{name}の{row.texts[0]}",), row.label) for row in rows(labels)
    ]


@pytest.fixture
def config(composed: Compose) -> TrainConfig:
    return check(composed("train", "task=jcola", "student=tiny", "data.batch_size=8"), TrainConfig)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Example]]:
    """What the next data.parts reads: train (of any source) and, where it is there, gold test."""
    found: dict[str, list[Example]] = {}

    def loaded(task: object, split: str, folder: str | None) -> list[Example]:
        if split not in found:
            raise GoldMissing("no gold: put it there")
        return found[split]

    monkeypatch.setattr("japagen.gold.load.load", loaded)
    monkeypatch.setitem(
        data.SOURCES, "synthetic", lambda config: found.get("synthetic", found.get("train", []))
    )
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
    padded = sum(
        max(lengths[row] for row in batch) * len(batch)
        for batch in batch.Buckets(lengths, 32, seed=0)
    )
    assert padded < 1.2 * sum(lengths)


def test_valid_is_a_share_of_every_label_and_apart_from_train(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    sources |= {
        "train": rows({"acceptable": 60, "unacceptable": 20}),
        "test": named("test", {"acceptable": 3}),
    }
    parts = data.parts(config)
    labels = [row.label for row in parts.valid]
    assert (labels.count("acceptable"), labels.count("unacceptable"), len(parts.train)) == (
        6,
        2,
        72,
    )
    assert not {row.id for row in parts.train} & {row.id for row in parts.valid}
    assert parts.test == sources["test"]
    assert parts.no_gold == ""
    assert data.parts(config) == parts


def test_without_gold_a_part_of_the_synthetic_rows_is_held_out(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    sources["train"] = rows({"acceptable": 40, "unacceptable": 40})
    parts = data.parts(config)
    assert "put it there" in parts.no_gold
    assert len(parts.test) == 8
    ids = [{row.id for row in part} for part in (parts.train, parts.valid, parts.test)]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 80


def test_gold_training_without_gold_is_an_error(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    sources["train"] = rows({"acceptable": 40, "unacceptable": 40})
    config.data.name = "gold"
    with pytest.raises(GoldMissing):
        data.parts(config)


def test_an_absent_label_is_named(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources |= {"train": rows({"acceptable": 40}), "test": named("test", {"acceptable": 3})}
    with pytest.raises(
        UserError,
        match="no example of label unacceptable of task jcola: generate with a higher num_per_label",
    ):
        data.parts(config)


def test_too_few_rows_are_an_error(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    sources |= {
        "train": rows({"acceptable": 1, "unacceptable": 1}),
        "test": named("test", {"acceptable": 3}),
    }
    with pytest.raises(
        UserError, match="2 rows are too few to keep some for 'valid': give a higher num_per_label"
    ):
        data.parts(config)


def test_num_per_label_draws_rows_of_each_label(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    sources |= {
        "train": rows({"acceptable": 60, "unacceptable": 20}),
        "test": named("test", {"acceptable": 3}),
    }
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
    examples = [
        Example("0", ("短い文",) * texts, "a"),
        Example("1", ("とても長い文" * 9,) * texts, "a"),
    ]
    columns, cut = Tokens(tokenizer, student, None).columns(examples)
    assert cut == 1
    assert [len(ids) for ids in columns["input_ids"]] == [7 if texts == 1 else 11, 16]
    assert (
        tokenizer.decode(columns["input_ids"][0]).replace(" ", "").startswith("[CLS]問:短い文[SEP]")
    )
    assert [max(ids) for ids in columns["token_type_ids"]] == [texts - 1] * 2


def test_a_batch_is_padded_to_its_own_longest_row(config: TrainConfig) -> None:
    examples = [Example(str(n), ("あ" * (n + 1),), config.task.labels[n % 2]) for n in range(20)]
    module = data.DataModule(
        data.Parts(examples, examples[:5], examples[5:]),
        config,
        Tokens(pretrained.characters(64), config.student, None),
    )
    module.setup("fit")
    batches = list(module.predict_dataloader())
    assert [batch["input_ids"].shape for batch in batches] == [(8, 15), (7, 22)]
    assert batches[0]["input_ids"][0].tolist()[-7:] == [0] * 7
    assert batches[0]["attention_mask"][0].sum() == 8
    assert batches[0]["row"].tolist() == list(range(8))
    assert batches[0]["target"].tolist() == [1, 0, 1, 0, 1, 0, 1, 0]


BOTH = {"acceptable": 40, "unacceptable": 40}


def ids(rows: list[Example]) -> set[str]:
    return {row.id for row in rows}


def test_few_gold_has_the_rows_that_a_prompt_would_show(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    sources |= {"train": rows(BOTH), "test": named("test", BOTH)}
    config.data.name, found = "few_gold", []
    for shots in (4, 8, 20):
        config.data.shots = shots
        parts = data.parts(config)
        found.append(ids([*parts.train, *parts.valid]))
        shown = draw_shots(sources["train"], config.task, shots, config.seed)
        assert found[-1] == {row.id for drawn in shown.values() for row in drawn}
    assert found[0] < found[1] < found[2]
    config.data.shots = 41
    with pytest.raises(
        UserError,
        match=r"data.shots=41 needs 41 gold rows of each label.*allowed: data.shots=40 or fewer",
    ):
        data.parts(config)


def test_few_shots_are_all_trained_on_and_more_spare_some(
    config: TrainConfig, sources: dict[str, list[Example]], caplog: pytest.LogCaptureFixture
) -> None:
    sources |= {"train": rows(BOTH), "test": named("test", BOTH)}
    config.data.name, config.data.shots = "few_gold", 1
    parts = data.parts(config)
    assert parts.valid == parts.train
    assert (len(parts.train), parts.golden) == (2, 2)
    assert "valid/* is of the training rows themselves" in caplog.text
    config.data.shots = 20
    parts = data.parts(config)
    assert (len(parts.train), len(parts.valid)) == (36, 4)
    assert not ids(parts.train) & ids(parts.valid)


def mixture(
    config: TrainConfig,
    sources: dict[str, list[Example]],
    shots: int | None,
    order: str = "together",
) -> data.Parts:
    sources |= {
        "synthetic": named("synthetic", BOTH),
        "train": named("gold", BOTH),
        "test": named("test", BOTH),
    }
    config.data.name, config.data.shots, config.data.order = "mixed", shots, order
    return data.parts(config)


def test_a_mixture_ends_with_its_gold_rows(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    for shots, golden, valid in ((None, 72, 16), (5, 10, 8)):
        parts = mixture(config, sources, shots)
        assert (len(parts.train), parts.golden, len(parts.valid)) == (72 + golden, golden, valid)
        assert [row.id.startswith("gold") for row in parts.train] == [False] * 72 + [True] * golden


def test_gold_that_comes_last_is_what_valid_is_of(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    assert all(
        row.id.startswith("gold") for row in mixture(config, sources, None, "synthetic_first").valid
    )
    assert all(
        row.id.startswith("synthetic")
        for row in mixture(config, sources, 5, "synthetic_first").valid
    )


def test_gold_rows_weigh_more(config: TrainConfig, sources: dict[str, list[Example]]) -> None:
    config.data.gold_weight = 3.0
    module = data.DataModule(
        mixture(config, sources, 5), config, Tokens(pretrained.characters(64), config.student, None)
    )
    module.setup("fit")
    assert module.tables["train"][[0, 71, 72, 81]]["weight"].tolist() == [1, 1, 3, 3]
    assert "weight" not in module.tables["valid"][[0]]


def test_phases_are_synthetic_rows_then_gold_ones() -> None:
    phases = batch.Phases([5] * 50, golden=10, switch=11, batch_size=8, seed=0)
    found = []
    for epoch in range(3):
        phases.set_epoch(epoch)
        found += list(phases)
        assert list(phases) == found[-7:]
    assert len(found) == 21
    assert all(row < 40 for rows in found[:11] for row in rows)
    assert all(row >= 40 for rows in found[11:] for row in rows)
    assert sorted(row for rows in found[:5] for row in rows) == list(range(40))
    assert sorted(row for rows in found[11:13] for row in rows) == list(range(40, 50))


def test_a_smaller_fraction_is_a_part_of_a_larger(
    config: TrainConfig, sources: dict[str, list[Example]]
) -> None:
    sources |= {"train": rows(BOTH), "test": named("test", BOTH)}
    found = []
    for fraction in (0.01, 0.25, 0.5, 1.0):
        config.data.fraction = fraction
        found.append(data.parts(config))
    assert [len(parts.train) for parts in found] == [2, 18, 36, 72]
    assert all(parts.valid == found[0].valid for parts in found)
    for smaller, larger in itertools.pairwise(found):
        assert ids(smaller.train) < ids(larger.train)


def test_rows_of_the_test_set_are_not_trained_on(
    config: TrainConfig, sources: dict[str, list[Example]], caplog: pytest.LogCaptureFixture
) -> None:
    long = "昨日の午後、駅前の小さな本屋で古い地図を一枚見つけて、家に持って帰ってから夜おそくまで眺めていた"
    extra = [
        Example("same", ("「試験の文、１」！",), "acceptable"),
        Example("near", (long + "。私。",), "acceptable"),
    ]
    sources["train"] = [*rows(BOTH), *extra]
    sources["test"] = [
        Example("t", ("試験の文1",), "unacceptable"),
        Example("u", (long,), "acceptable"),
    ]
    parts = data.parts(config)
    assert parts.overlap == {"overlap/train": 1, "overlap/near": 1}
    assert not {"same", "near"} & ids([*parts.train, *parts.valid])
    assert (
        "synthetic: 2 of 82 rows are not trained on: 1 have the text of a gold test row, 1 nearly"
        in caplog.text
    )
    config.data.near_duplicate = 0
    assert data.parts(config).overlap == {"overlap/train": 1, "overlap/near": 0}


def test_of_a_pair_both_texts_must_be_the_same() -> None:
    test = [Example("t", ("犬が走る。", "猫が寝る。"), "0")]
    pairs = [("犬が走る", "猫が寝る"), ("犬が走る", "猫が起きる"), ("猫が寝る", "犬が走る")]
    kept, counts = leakage.without(
        [Example(str(n), pair, "0") for n, pair in enumerate(pairs)], test, 0
    )
    assert [row.id for row in kept] == ["1", "2"]
    assert counts == {"same": 1, "near": 0}


def test_texts_of_signs_alone_are_not_all_the_same() -> None:
    assert leakage.bare(Example("0", ("！？", "ＡＢ c。"), "0")) == ["!?", "ABc"]


def test_a_dataset_that_cannot_be_made_without_gold_says_so(config: TrainConfig) -> None:
    with pytest.raises(UserError, match="Make it with:") as plain:
        data.SOURCES["synthetic"](config)
    assert not isinstance(plain.value, GoldMissing)
    config.shots, config.gold_dir = 5, "nowhere"
    with pytest.raises(GoldMissing, match=r"(?s)Make it with:.*needs gold examples to show"):
        data.SOURCES["synthetic"](config)
