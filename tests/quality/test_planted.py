"""Faults planted in a dataset: measures move, verdicts name the fault, lists find the rows."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest

from japagen.config.check import check
from japagen.config.schema import EvaluateConfig
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.quality import classifier, doubt, measure
from japagen.quality.data import Data, beside_gold, groups
from japagen.quality.measured import Measured
from japagen.quality.verdict import verdicts
from tests.conftest import Compose
from tests.quality import plant

GOLD = plant.meals(300, 0)
GOLD_DIR = os.environ.get("JAPAGEN_DATA")


def faults(found: Measured) -> str:
    """The verdicts on faults, a line each."""
    return "\n".join(one.text for one in verdicts(found) if one.is_fault)


def cheap(rows: list[Example], task: Task = plant.TASK) -> Measured:
    """The cheap measures beside gold rows."""
    return measure.cheap(Data(task, rows, GOLD))


def test_rows_like_gold_have_no_fault() -> None:
    assert faults(cheap(plant.meals(200, 1))) == ""


def test_near_copies_are_counted_and_named() -> None:
    clean, planted = cheap(plant.meals(200, 1)), cheap(plant.copied(plant.meals(200, 1), 0.1))
    assert planted.metrics["near_duplicates"] >= clean.metrics["near_duplicates"] + 0.09
    assert "duplicates: " in faults(planted)
    suspicious = {planted.data.rows[place].id for place in planted.reasons}
    assert {f"copy-{n}" for n in range(20)} <= suspicious


def test_a_label_in_english_is_named() -> None:
    found = cheap(plant.english(plant.meals(200, 1), "bad"))
    assert found.metrics["japanese/bad"] == 0.0
    assert found.metrics["japanese/good"] == 1.0
    assert "language: 100 % of 'bad' have a text without kana or kanji" in faults(found)
    assert "'good'" not in faults(found).split("language")[1].splitlines()[0]


def test_gold_test_rows_are_found_whatever_their_punctuation() -> None:
    test = [replace(row, texts=(row.texts[0].replace("。", "！"),)) for row in plant.meals(10, 1)]
    found = measure.cheap(Data(plant.TASK, plant.meals(40, 1), GOLD, test))
    assert found.metrics["in_gold"] >= 10 / 40
    assert "leakage: " in faults(found)


def test_more_rows_than_gold_repeat_each_other_more_without_a_fault() -> None:
    found = measure.cheap(Data(plant.TASK, plant.meals(1500, 1), plant.meals(100, 2)))
    assert found.metrics["near_duplicates"] > found.metrics["gold_near_duplicates"] + 0.05
    assert "duplicates" not in faults(found)


def test_a_tell_tale_word_is_named() -> None:
    found = cheap(plant.with_word(plant.meals(200, 1), "bad", "明日、"))
    assert found.telling["bad"][0].gram == "明日、"
    assert found.metrics["telling/bad"] == 1.0 > found.metrics["gold_telling/bad"] + 0.3
    assert "'bad' can be read off '明日、', which is in 100 % of its rows" in faults(found)


def test_a_hundred_near_copies_are_the_least_diverse() -> None:
    gold = plant.varied(200, 0)
    poor, rich = (
        measure.cheap(Data(plant.TASK, rows, gold))
        for rows in (plant.alike(100), plant.varied(100, 1))
    )
    for name in ("diversity", "distinct_2", "distinct_3"):
        assert poor.metrics[name] < 0.2 < 0.9 < rich.metrics[name]
    for name in ("compression", "self_repetition", "near_duplicates"):
        assert poor.metrics[name] > 2 * rich.metrics[name]
    assert "diversity: a tenth of gold's" in faults(poor)
    assert "diversity: like gold's" not in faults(rich)


@pytest.mark.slow
def test_flipped_labels_are_found() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows, places = plant.flipped(plant.meals(200, 1), 0.2, plant.TASK)
    # In place of the encoder: n-grams, which are as telling for these rows.
    texts = [row.texts[0] for row in rows]
    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).fit_transform(texts).toarray()
    labels = groups(rows, plant.TASK)
    probabilities = classifier.probabilities(features, labels)
    assert probabilities is not None
    doubts = doubt.find(probabilities, labels, sorted(set(labels)))
    found = {one.place for one in doubts.found}
    assert len(found & places) / len(found) >= 0.8  # precision
    assert len(found & places) / len(places) >= 0.7  # recall
    assert 0.12 < doubts.shares()["issues"] < 0.25


@pytest.mark.slow
def test_classifiers_see_shortcuts_and_distance() -> None:
    rows = plant.with_word(plant.pairs(120, 1), "same", "要するに、")
    found = Measured(Data(plant.PAIRS, rows, plant.pairs(120, 0)))
    measure.classified(found)
    assert found.metrics["last_only"] > 0.95 > 0.7 > found.metrics["gold_last_only"]
    assert found.metrics["overlap_only"] > 0.9  # of gold too: a copy is the same
    assert "only the last text of a pair scores 1.00" in faults_of_classifiers(found)
    strange = Measured(Data(plant.TASK, plant.english(plant.meals(100, 1), "bad"), GOLD))
    measure.classified(strange)
    same = Measured(Data(plant.TASK, plant.meals(100, 1), GOLD))
    measure.classified(same)
    assert same.metrics["two_sample_auc"] < 0.65 < 0.7 < strange.metrics["two_sample_auc"]


def faults_of_classifiers(found: Measured) -> str:
    """The faults of a dataset of which only classifiers were run."""
    found.metrics["near_duplicates"] = 0.0
    return faults(found)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_faults_in_gold_rows_are_found_with_the_encoder(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not GOLD_DIR:
        pytest.skip("JAPAGEN_DATA names no gold data")
    task = check(composed("evaluate", "task=hotel_reviews"), EvaluateConfig).task
    monkeypatch.delenv("JAPAGEN_CACHE")  # the encoder is there
    data, _ = beside_gold([], task, GOLD_DIR)
    gold = list(data.gold)
    random.Random(0).shuffle(gold)
    clean, real = gold[:500], gold[500:1500]
    rows, places = plant.flipped(clean, 0.2, task)
    found = measure.whole(Data(task, rows, real, data.test), 500)
    doubted = {one.place for one in found.doubts.found}
    assert len(doubted & places) / len(doubted) >= 0.75  # precision
    assert len(doubted & places) / len(places) >= 0.5  # recall
    assert found.metrics["issues"] > found.metrics["gold_issues"] + 0.08
    assert "are doubted" in faults(found)
    copies = [
        replace(clean[0], id=f"row-{n}", texts=(f"{clean[0].texts[0]}{n}",)) for n in range(100)
    ]
    poor = measure.whole(Data(task, copies, real, data.test), 100)
    for name in ("diversity", "word_diversity", "mean_distance", "coverage"):
        assert poor.metrics[name] < 0.5 * poor.metrics[f"gold_{name}"]
    assert poor.metrics["vendi"] < poor.metrics["gold_vendi"]
    assert "of gold's" in faults(poor)
