"""Confident, diverse and balanced choices on planted candidates."""

from __future__ import annotations

import numpy as np
import pytest

from japagen.synthesis.choosing import Pool, balanced, choose, confident, diverse


def pool(
    vectors: np.ndarray,
    labels: list[str],
    slots: list[str] | None = None,
    taken: tuple[int, ...] = (),
) -> Pool:
    return Pool(labels, slots or [""] * len(labels), vectors, taken)


def test_diverse_takes_the_farthest_next_and_none_twice() -> None:
    line = np.array([[0.0], [0.1], [1.0], [0.5], [0.5]])
    found = pool(line, ["a"] * 5)
    assert diverse(found, "a", 3) == [0, 2, 3]
    assert sorted(diverse(found, "a", 9)) == [0, 1, 2, 3, 4]
    assert diverse(pool(line, ["a"] * 5, taken=(2,)), "a", 1) == [0]
    assert diverse(pool(line[:0], []), "a", 3) == []


def planted(number: int = 60) -> tuple[Pool, set[int]]:
    """Two clouds of vectors, with every tenth label of each flipped."""
    draw = np.random.default_rng(0)
    labels = ["a" if n % 2 else "b" for n in range(2 * number)]
    centers = np.array([[1.0, 0.0] if label == "a" else [-1.0, 0.0] for label in labels])
    flipped = {n for n in range(2 * number) if n // 2 % 10 == 3}
    given = ["ab"[label == "a"] if n in flipped else label for n, label in enumerate(labels)]
    return pool(centers + draw.normal(0, 0.2, centers.shape), given), flipped


def test_confident_drops_planted_flips_first() -> None:
    found, flipped = planted()
    kept = confident(found, {"a": 54, "b": 54})
    assert len(kept) == 108
    assert not flipped & set(kept)
    assert (
        confident(found, {"a": 5, "b": 0}) == [n for n in found.free("a") if n not in flipped][:5]
    ), "candidates that are not doubted stay in plan order"
    everything = confident(found, {"a": 60, "b": 60})
    assert sorted(everything) == list(range(120))


def test_confident_with_too_few_rows_keeps_plan_order() -> None:
    few = pool(np.eye(3), ["a", "b", "b"])
    assert confident(few, {"a": 1, "b": 1}) == [0, 1]


def test_balanced_evens_out_the_slot_values() -> None:
    slots = ["x", "x", "x", "y", "x", "y", "z"]
    found = pool(np.empty((0, 0)), ["a"] * 7, slots)
    assert sorted(balanced(found, "a", 3)) == [0, 3, 6]
    assert sorted(balanced(found, "a", 5)) == [0, 1, 3, 5, 6]
    assert sorted(balanced(found, "a", 99)) == list(range(7))
    again = pool(np.empty((0, 0)), ["a"] * 7, slots, taken=(0, 1))
    assert sorted(balanced(again, "a", 2)) == [3, 6]


@pytest.mark.parametrize("name", ["confident", "diverse", "balanced"])
def test_each_choice_keeps_as_many_as_wanted_of_each_label(name: str) -> None:
    found, _ = planted(20)
    kept = choose(name, found, {"a": 7, "b": 3})
    counts = [sum(found.labels[n] == label for n in kept) for label in "ab"]
    assert counts == [7, 3]
    assert len(set(kept)) == 10
