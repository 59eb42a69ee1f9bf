"""The plan: which slot value each example has."""

from __future__ import annotations

from collections import Counter

import pytest

from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity
from japagen.synthesis import plan, prompt
from tests.conftest import Compose

TOPICS = ['+task.knowledge.label_values.positive=["朝食","夕食","枕"]']


def made(composed: Compose, *overrides: str) -> plan.Plan:
    options = ["task=hotel_reviews", "prompt=knowledge", "num_per_label=6", "logger=none"]
    return plan.make(
        identity.of(check(composed("generate", *options, *overrides), GenerateConfig)), None
    )


def test_values_of_all_labels_are_the_same_for_a_number(composed: Compose) -> None:
    shared = made(composed, 'task.knowledge.values=["朝食","夕食","枕"]')
    assert [shared.slot(k) for k in range(0, 12, 2)] == [shared.slot(k) for k in range(1, 12, 2)]
    assert Counter(map(shared.slot, range(12))) == {"朝食": 4, "夕食": 4, "枕": 4}


def test_a_label_with_values_of_its_own_uses_each_equally_often(composed: Compose) -> None:
    own = made(composed, 'task.knowledge.values=["売店","駐車場"]', *TOPICS)
    assert Counter(own.slot(k) for k in range(0, 12, 2)) == {"朝食": 2, "夕食": 2, "枕": 2}
    assert Counter(own.slot(k) for k in range(1, 12, 2)) == {"売店": 3, "駐車場": 3}
    assert all(f"「{own.slot(k)}」" in own.asked(k)[0] for k in range(12))
    given = prompt.given(own.dataset.task, own.dataset.prompt)
    assert all(value in given for value in ("枕", "売店"))


@pytest.mark.slow
def test_values_of_labels_name_another_dataset_and_no_values_the_same(composed: Compose) -> None:
    plain = made(composed).dataset.fingerprint
    assert made(composed, "+task.knowledge.label_values={}").dataset.fingerprint == plain
    assert made(composed, *TOPICS).dataset.fingerprint != plain
