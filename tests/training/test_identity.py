from __future__ import annotations

import pytest

from japagen.gold.example import Example
from japagen.training.identity import fingerprint, name
from tests.training.toy_rows import Make


@pytest.mark.slow
def test_the_name_changes_with_whatever_changes_the_student(make: Make) -> None:
    overrides = [
        "student.learning_rate=0.5",
        "data.valid=0.2",
        "loss.class_weights=true",
        "loss=generalized_ce",
        "trainer.patience=9",
        "+llm.sampling.top_p=0.1",
    ]
    names = [name(make(*extra)) for extra in ([], [], *([override] for override in overrides))]
    assert names[0] == names[1]
    assert names[0].startswith("jcola-tiny-fake-zero_shot-0shot-16-seed0-")
    assert len(set(names)) == 1 + len(overrides)
    rows = [Example("a", ("文",), "acceptable")]
    assert name(make(), rows) != names[0]


@pytest.mark.parametrize(
    ("options", "start"),
    [
        (["data=gold"], "jcola-tiny-gold-seed0-"),
        (["data=few_gold", "data.shots=5"], "jcola-tiny-5gold-seed0-"),
        (["data=mixed"], "jcola-tiny-fake-zero_shot-0shot-16-gold-seed0-"),
        (["seeds=[3]"], "jcola-tiny-fake-zero_shot-0shot-16-seed3-"),
    ],
)
def test_the_name_says_where_the_rows_come_from(make: Make, options: list[str], start: str) -> None:
    assert name(make(*options)).startswith(start)


@pytest.mark.slow
def test_the_order_of_a_mixture_changes_the_name(make: Make) -> None:
    assert name(make("data=mixed")) != name(make("data=mixed", "data.order=synthetic_first"))


def test_the_fingerprint_changes_with_the_test_rows() -> None:
    rows = [Example("a", ("文",), "x"), Example("b", ("文二",), "y")]
    found = {
        fingerprint("one", rows, False),
        fingerprint("two", rows, False),
        fingerprint("one", rows[:1], False),
        fingerprint("one", rows, True),
    }
    assert len(found) == 4
    assert all(len(text) == 10 for text in found)
