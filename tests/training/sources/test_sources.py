from __future__ import annotations

from dataclasses import replace

import pytest

from japagen.config import component
from japagen.config.error import UserError
from japagen.config.schema import CONF
from japagen.gold.fetch import GoldMissing
from japagen.training.sources import Source, synthetic
from japagen.training.sources.mixed import Mixed
from tests.training.toy_rows import Make


def test_every_class_of_conf_data_is_a_source() -> None:
    for name, cls in component.all_of(CONF / "data").items():
        assert issubclass(cls, Source), name
        assert set(cls.sources) <= {"synthetic", "gold"}, name


@pytest.mark.slow
def test_a_dataset_that_cannot_be_made_without_gold_says_so(make: Make) -> None:
    with pytest.raises(UserError, match="Make it with:") as plain:
        synthetic.read(make().origin)
    assert not isinstance(plain.value, GoldMissing)
    shown = replace(make("shots=5").origin, gold_dir="nowhere")
    with pytest.raises(GoldMissing, match=r"(?s)Make it with:.*needs gold examples to show"):
        synthetic.read(shown)


def test_a_mixture_weighs_gold_rows_and_can_use_them_last() -> None:
    mixed = Mixed("mixed", gold_weight=2.5)
    assert (mixed.weight("gold"), mixed.weight("synthetic"), mixed.gold_after()) == (2.5, 1.0, None)
    later = Mixed("mixed", order="synthetic_first", synthetic_share=0.25)
    assert later.gold_after() == 0.25


@pytest.mark.slow
def test_a_description_names_folder_and_shots(make: Make) -> None:
    training = make("data=mixed", "data.shots=7")
    text = training.data.describe(training.dataset)
    assert text == f"{training.dataset.folder} and 7 gold rows of each label"
    assert make("data=gold").data.describe(training.dataset) == "gold"
