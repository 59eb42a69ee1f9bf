"""The quality of datasets that are known to be good or bad."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from japagen.command import evaluate, generate, train
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import EvaluateConfig
from japagen.evaluation import quality
from japagen.gold.example import Example
from japagen.llm.fake import sentence
from tests.conftest import Compose
from tests.toys import FAST, saved


def varied(number: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Rows of characters drawn at random: nothing in common."""
    draw = random.Random(seed)
    return [
        ("".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(40)),) for _ in range(number)
    ]


ALIKE = [(f"駅前の公園で、茶色の犬が{n}匹、楽しそうに走り回っています。",) for n in range(100)]


def examples(rows: list[tuple[str, ...]], label: str = "acceptable") -> list[Example]:
    return [Example(f"{label}-{n:06d}", texts, label) for n, texts in enumerate(rows)]


def test_a_hundred_near_identical_sentences_score_low() -> None:
    poor, rich = (
        quality.diversity(examples(ALIKE), 100),
        quality.diversity(examples(varied(100)), 100),
    )
    assert poor["diversity"] < 0.1 < 0.9 < rich["diversity"]
    assert poor["distinct_3"] < 0.1 < 0.9 < rich["distinct_3"]


def test_the_widths_of_characters_are_no_diversity() -> None:
    assert quality.grams(["ＡＢ１"], 1) == quality.grams(["AB1"], 1)


def test_self_bleu_takes_the_best_other_row() -> None:
    assert quality.self_bleu([("犬が走る。",), ("犬が走る。",), ("雪山",)]) == pytest.approx(
        2 / 3, abs=0.01
    )
    assert quality.self_bleu([("犬",)]) == 0.0
    # 「犬犬」 needs two dogs in one other row.
    assert list(quality.shares([("犬犬",), ("犬猫",), ("犬鳥",)], 1)) == [0.5, 0.5, 0.5]


def test_divergence_is_from_0_to_1() -> None:
    one = Counter({"犬": 3, "猫": 1})
    assert quality.divergence(one, Counter({"犬": 6, "猫": 2})) == pytest.approx(0.0)
    assert quality.divergence(one, Counter({"鳥": 1})) == pytest.approx(1.0)
    assert 0 < quality.divergence(one, Counter({"犬": 1, "猫": 3})) < 1


def test_duplicates_are_counted_without_spaces() -> None:
    assert quality.duplicates(
        [("犬が走る。",), ("犬が 走る。",), ("雪山に小屋がある。",), ("犬が走る。",)]
    ) == (0.5, 0.5)
    exact, near = quality.duplicates(ALIKE)
    assert exact == 0.0
    assert near > 0.9


def test_gold_against_itself_is_near_and_other_text_is_far(composed: Compose) -> None:
    task = check(composed("evaluate", "task=jcola"), EvaluateConfig).task
    draw = random.Random(0)
    real = examples([(sentence(draw),) for _ in range(200)]) + examples(
        [(sentence(draw),) for _ in range(200)], "unacceptable"
    )
    near = quality.measure(real[:100] + real[250:350], real, task)
    far = quality.measure(
        examples(varied(50)) + examples(varied(50, 1), "unacceptable"), real, task
    )
    assert near["in_gold"] == 1.0
    assert far["in_gold"] == 0.0
    assert near["divergence"] < 0.1 < 0.9 < far["divergence"]
    assert near["gold_divergence"] < 0.1
    assert near["overlap_3"] == 1.0
    assert far["overlap_3"] < 0.01
    assert near["length_distance"] < far["length_distance"]
    assert {"divergence/acceptable", "divergence/unacceptable"} <= set(near)


@pytest.mark.slow
def test_a_dataset_is_looked_at_and_judged(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["task=jcola", "num_per_label=8", f"gold_dir={gold_dir}"]
    with pytest.raises(
        UserError, match=r"(?s)is not there\. Make it with:.*generate\.py task=jcola"
    ):
        evaluate.run(composed("evaluate", *words, "subject=dataset"))
    generate.run(composed("generate", *words))
    value = evaluate.run(composed("evaluate", *words, "subject=dataset"))
    assert value == recorded["quality/diversity"]
    assert recorded["quality/rows"] == 16
    assert recorded["quality/divergence"] > recorded["quality/gold_divergence"]
    assert "quality/label_correctness" not in recorded
    text = capsys.readouterr().out
    assert "label correctness: not measured" in text
    train.run(composed("train", "task=jcola", f"gold_dir={gold_dir}", "data=gold", *FAST))
    evaluate.run(composed("evaluate", *words, "subject=dataset", f"student.path={saved()}"))
    assert 0 <= recorded["quality/label_correctness"] <= 1
    assert recorded["quality/label_correctness"] == pytest.approx(
        (
            recorded["quality/label_correctness/acceptable"]
            + recorded["quality/label_correctness/unacceptable"]
        )
        / 2
    )


def test_without_gold_the_rest_is_said(
    composed: Compose, recorded: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["task=marc_ja", "num_per_label=4"]
    generate.run(composed("generate", *words))
    evaluate.run(composed("evaluate", *words, "subject=dataset"))
    assert "Not compared with gold" in capsys.readouterr().out
    assert "quality/diversity" in recorded
    assert not [name for name in recorded if "gold" in name]
