from __future__ import annotations

import itertools

import pytest

from japagen.config.error import UserError
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.gold.load import draw_shots
from japagen.training import data, split
from tests.training.toy_rows import BOTH, Make, Pools, ids, named, rows


@pytest.mark.slow
def test_valid_is_a_share_of_every_label_and_apart_from_train(make: Make, pools: Pools) -> None:
    pools |= {
        "train": rows({"acceptable": 60, "unacceptable": 20}),
        "test": named("test", {"acceptable": 3}),
    }
    parts = split.read(make())
    labels = [row.label for row in parts.valid]
    assert (labels.count("acceptable"), labels.count("unacceptable")) == (6, 2)
    assert len(parts.train) == 72
    assert not ids(parts.train) & ids(parts.valid)
    assert parts.test == pools["test"]
    assert parts.no_gold == ""
    assert {row.source for row in [*parts.train, *parts.valid]} == {"synthetic"}
    assert split.read(make()) == parts


@pytest.mark.slow
def test_a_limit_takes_a_part_of_the_test_rows_by_seed(make: Make, pools: Pools) -> None:
    pools |= {"train": rows(BOTH), "test": named("test", {"acceptable": 30})}
    parts = split.read(make("data.test_limit=10"))
    assert (len(parts.test), parts.partial) == (10, True)
    assert ids(parts.test) < ids(split.read(make("data.test_limit=20")).test)
    assert not split.read(make("data.test_limit=30")).partial
    whole = split.read(make())
    assert (len(whole.test), whole.partial) == (30, False)
    assert whole.train == parts.train


def test_without_gold_a_part_of_the_synthetic_rows_is_held_out(make: Make, pools: Pools) -> None:
    pools["train"] = rows(BOTH)
    parts = split.read(make())
    assert "put it there" in parts.no_gold
    assert len(parts.test) == 8
    found = [ids(part) for part in (parts.train, parts.valid, parts.test)]
    assert len(set.union(*found)) == sum(map(len, found)) == 80


def test_gold_training_without_gold_is_an_error(make: Make, pools: Pools) -> None:
    pools["train"] = rows(BOTH)
    with pytest.raises(GoldMissing):
        split.read(make("data=gold"))


@pytest.mark.slow
def test_an_absent_label_is_named(make: Make, pools: Pools) -> None:
    pools |= {"train": rows({"acceptable": 40}), "test": named("test", {"acceptable": 3})}
    with pytest.raises(
        UserError,
        match=r"no example of label unacceptable of task jcola: generate with a higher num_per",
    ):
        split.read(make())
    with pytest.raises(UserError, match="label unacceptable of task jcola: add gold rows"):
        split.read(make("data=gold"))


def test_too_few_rows_are_an_error(make: Make, pools: Pools) -> None:
    pools |= {
        "train": rows({"acceptable": 1, "unacceptable": 1}),
        "test": named("test", {"acceptable": 3}),
    }
    with pytest.raises(
        UserError, match="2 rows are too few to keep some for 'valid': give a higher num_per_label"
    ):
        split.read(make())


@pytest.mark.slow
def test_num_per_label_draws_rows_of_each_label(make: Make, pools: Pools) -> None:
    pools |= {
        "train": rows({"acceptable": 60, "unacceptable": 20}),
        "test": named("test", {"acceptable": 3}),
    }
    parts = split.read(make("data.num_per_label=10"))
    assert len(parts.train) + len(parts.valid) == 20
    assert split.read(make("data.num_per_label=10")) == parts


def test_scores_are_split_by_their_nearest_level(make: Make) -> None:
    training = make("task=jsts")
    examples = [Example(str(n), ("文", "文"), str(n % 50 / 10)) for n in range(500)]
    rest, valid = split.split(examples, training.data, training.task, 0, "valid")
    assert len(rest) == 450
    assert {round(float(row.label)) for row in valid} == set(range(6))
    assert data.targets(examples[:3], training.task) == [0.0, 0.1, 0.2]


@pytest.mark.slow
def test_few_gold_has_the_rows_that_a_prompt_would_show(make: Make, pools: Pools) -> None:
    pools |= {"train": rows(BOTH), "test": named("test", BOTH)}
    found = []
    for shots in (4, 8, 20):
        training = make("data=few_gold", f"data.shots={shots}")
        parts = split.read(training)
        found.append(ids([*parts.train, *parts.valid]))
        shown = draw_shots(pools["train"], training.task, shots, training.seed)
        assert found[-1] == {row.id for drawn in shown.values() for row in drawn}
    assert found[0] < found[1] < found[2]
    with pytest.raises(
        UserError,
        match=r"data.shots=41 needs 41 gold rows of each label.*allowed: data.shots=40 or fewer",
    ):
        split.read(make("data=few_gold", "data.shots=41"))


@pytest.mark.slow
def test_few_shots_are_all_trained_on_and_more_leave_some_for_validation(
    make: Make, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    pools |= {"train": rows(BOTH), "test": named("test", BOTH)}
    parts = split.read(make("data=few_gold", "data.shots=1"))
    assert parts.valid == parts.train
    assert [row.source for row in parts.train] == ["gold", "gold"]
    assert "valid/* is measured on the training rows" in caplog.text
    parts = split.read(make("data=few_gold", "data.shots=20"))
    assert (len(parts.train), len(parts.valid)) == (36, 4)
    assert not ids(parts.train) & ids(parts.valid)


def mixture(make: Make, pools: Pools, *options: str) -> split.Parts:
    pools |= {
        "synthetic": named("synthetic", BOTH),
        "train": named("gold", BOTH),
        "test": named("test", BOTH),
    }
    return split.read(make("data=mixed", *options))


@pytest.mark.parametrize(("shots", "gold", "valid"), [("null", 72, 16), ("5", 10, 8)])
def test_each_row_of_a_mixture_says_its_source(
    make: Make, pools: Pools, shots: str, gold: int, valid: int
) -> None:
    parts = mixture(make, pools, f"data.shots={shots}")
    sources = [row.source for row in parts.train]
    assert (sources.count("synthetic"), sources.count("gold"), len(parts.valid)) == (
        72,
        gold,
        valid,
    )
    assert all(row.id.startswith(row.source) for row in [*parts.train, *parts.valid])


@pytest.mark.slow
def test_validation_is_on_gold_if_gold_comes_last_and_is_enough(make: Make, pools: Pools) -> None:
    last = "data.order=synthetic_first"
    assert {row.source for row in mixture(make, pools, last).valid} == {"gold"}
    few = mixture(make, pools, last, "data.shots=5")
    assert {row.source for row in few.valid} == {"synthetic"}


@pytest.mark.slow
def test_a_smaller_fraction_is_a_part_of_a_larger(make: Make, pools: Pools) -> None:
    pools |= {"train": rows(BOTH), "test": named("test", BOTH)}
    shares = (0.01, 0.25, 0.5, 1.0)
    found = [split.read(make(f"data.fraction={share}")) for share in shares]
    assert [len(parts.train) for parts in found] == [2, 18, 36, 72]
    assert all(parts.valid == found[0].valid for parts in found)
    for smaller, larger in itertools.pairwise(found):
        assert ids(smaller.train) < ids(larger.train)


@pytest.mark.slow
def test_rows_of_the_test_set_are_not_trained_on(
    make: Make, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    long = (
        "昨日の午後、駅前の小さな本屋で古い地図を一枚見つけて、"
        "家に持って帰ってから夜おそくまで眺めていた"
    )
    extra = [
        Example("same", ("「試験の文、１」！",), "acceptable"),
        Example("near", (long + "。私。",), "acceptable"),
    ]
    pools["train"] = [*rows(BOTH), *extra]
    pools["test"] = [
        Example("t", ("試験の文1",), "unacceptable"),
        Example("u", (long,), "acceptable"),
    ]
    parts = split.read(make())
    assert parts.overlap == {"overlap/train": 1, "overlap/near": 1}
    assert not {"same", "near"} & ids([*parts.train, *parts.valid])
    assert "synthetic: 2 of 82 rows are left out (test leakage): 1 have the text" in caplog.text
    found = split.read(make("data.near_duplicate=0")).overlap
    assert found == {"overlap/train": 1, "overlap/near": 0}
