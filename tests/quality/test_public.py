"""The measures equal public implementations."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
from collections import Counter

import numpy as np
import pytest

from japagen.quality import bleu, distance, diversity, doubt, space, unit
from tests.quality import plant

SAME = pytest.approx


def texts(number: int) -> list[tuple[str, ...]]:
    """Texts of different lengths: a copy, one shorter than four characters, one without a match."""
    rows = [row.texts for row in plant.meals(number, 3)]
    return [*rows, rows[0], ("犬だ",), ("ＡＢＣ。",), (rows[1][0][:9],)]


def test_self_bleu_is_that_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="pip install sacrebleu")
    metric = sacrebleu.BLEU(tokenize="none", effective_order=True)
    rows = texts(20)
    spaced = [" ".join(text) for (text,) in rows]
    theirs = [
        metric.sentence_score(text, spaced[:place] + spaced[place + 1 :]).score / 100
        for place, text in enumerate(spaced)
    ]
    assert bleu.self_bleu(rows) == SAME(sum(theirs) / len(theirs), abs=1e-6)
    words = [(tuple(text[at : at + 2] for at in range(0, len(text), 2)),) for (text,) in rows]
    spaced = [" ".join(text) for (text,) in words]
    theirs = [
        metric.sentence_score(text, spaced[:place] + spaced[place + 1 :]).score / 100
        for place, text in enumerate(spaced)
    ]
    assert bleu.self_bleu(words) == SAME(sum(theirs) / len(theirs), abs=1e-6)


def test_self_bleu_of_few_rows() -> None:
    assert bleu.self_bleu([("犬が走る。",), ("犬が走る。",)]) == SAME(1.0)
    assert bleu.self_bleu([("犬",), ("雪山",)]) == 0.0
    assert bleu.self_bleu([("犬",)]) == 0.0
    # 「犬犬」 needs two dogs in one other row.
    assert list(bleu.matches([("犬犬",), ("犬猫",), ("犬鳥",)], 1)) == [(1, 2), (1, 2), (1, 2)]


def vectors(number: int, seed: int) -> np.ndarray:
    """Random vectors of length 1."""
    drawn = np.random.default_rng(seed).normal(size=(number, 16)) + 0.5
    found: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return found


def test_coverage_and_density_are_those_of_prdc() -> None:
    prdc = pytest.importorskip("prdc", reason="pip install prdc")
    gold, rows = vectors(60, 0), vectors(50, 1)
    rows[:, 0] += 0.6
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = prdc.compute_prdc(gold, rows, space.NEIGHBOURS)
    coverage, density = space.coverage_and_density(gold, rows)
    assert coverage == SAME(theirs["coverage"], abs=1e-6)
    assert density == SAME(theirs["density"], abs=1e-6)
    assert 0 < coverage < 1


def test_the_vendi_score_is_that_of_vendi_score() -> None:
    vendi_score = pytest.importorskip("vendi_score", reason="pip install vendi-score")
    from vendi_score import vendi

    assert vendi_score
    rows = vectors(40, 2)
    assert space.vendi(rows) == SAME(vendi.score_dual(rows), abs=1e-6)
    assert space.vendi(rows) == SAME(vendi.score_X(rows), abs=1e-6)
    assert space.vendi(np.tile(rows[:1], (9, 1))) == SAME(1.0)
    assert space.vendi(np.eye(16)) == SAME(16.0)


def test_the_mean_distance_is_that_of_all_pairs() -> None:
    rows = vectors(30, 4)
    cosines = rows @ rows.T
    mean = (cosines.sum() - np.trace(cosines)) / (30 * 29)
    assert space.mean_distance(rows) == SAME(1 - mean, abs=1e-9)


def test_wasserstein_is_that_of_scipy() -> None:
    from scipy.stats import wasserstein_distance

    draw = np.random.default_rng(5)
    one, other = draw.integers(5, 60, 70).tolist(), draw.integers(1, 40, 45).tolist()
    assert distance.wasserstein(one, other) == SAME(wasserstein_distance(one, other), abs=1e-9)
    assert distance.wasserstein(one, []) == 0.0


def test_the_divergence_is_that_of_scipy() -> None:
    from scipy.spatial.distance import jensenshannon

    one, other = Counter({"犬": 3, "猫": 1}), Counter({"犬": 1, "鳥": 4})
    theirs = jensenshannon([3, 1, 0], [1, 0, 4], base=2) ** 2
    assert distance.divergence(one, other) == SAME(theirs, abs=1e-9)
    assert distance.divergence(one, one) == SAME(0.0)
    assert distance.divergence(one, Counter({"鳥": 1})) == SAME(1.0)


def test_compression_and_self_repetition_are_as_defined() -> None:
    rows = [("犬が走る。",), ("犬が走る。",), ("雪山",)]
    raw = "犬が走る。\n犬が走る。\n雪山".encode()
    assert diversity.compression(rows) == SAME(len(raw) / len(gzip.compress(raw)))
    # Two rows repeat three 3-grams each; the third has none.
    assert diversity.self_repetition(rows, 3) == SAME(2 * math.log(4) / 3)


def test_widths_of_characters_are_no_diversity() -> None:
    assert unit.characters(["ＡＢ１"]) == unit.characters(["AB1"])
    assert diversity.distinct([unit.characters(["ＡA"])], 1) == 0.5


def test_duplicates_are_found_without_spaces() -> None:
    rows = [("犬が走る。",), ("犬が 走る。",), ("雪山に小屋がある。",), ("犬が走る。",)]
    found = diversity.duplicates(rows)
    assert found == {1: "duplicate", 3: "duplicate"}
    assert diversity.shares(found, 4) == {"duplicates": 0.5, "near_duplicates": 0.5}


def test_near_duplicates_are_estimated_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row.texts for row in plant.copied(plant.varied(200, 0), 0.2)]
    whole = diversity.shares(diversity.duplicates(rows), len(rows))
    assert whole == {"duplicates": 0.0, "near_duplicates": 0.2}
    monkeypatch.setattr(diversity, "CHECKED", 100)
    found = diversity.duplicates([*rows, rows[0]])
    shares = diversity.shares(found, 201)
    assert found[200] == "duplicate"
    assert shares["duplicates"] == SAME(1 / 201)
    assert shares["near_duplicates"] == SAME(0.2, abs=0.1)


@pytest.mark.slow
def test_doubted_labels_are_those_of_cleanlab() -> None:
    filters = pytest.importorskip("cleanlab.filter", reason='pip install "japagen[quality]"')
    from cleanlab.rank import get_self_confidence_for_each_label

    draw = np.random.default_rng(6)
    probabilities = draw.dirichlet([1.0, 1.0, 1.0], 120)
    names = ["a", "b", "c"]
    given = draw.integers(0, 3, 120)
    doubts = doubt.find(probabilities, [names[one] for one in given], names)
    theirs = filters.find_label_issues(given, probabilities, filter_by="confident_learning")
    assert sorted(one.place for one in doubts.found) == np.flatnonzero(theirs).tolist()
    scores = get_self_confidence_for_each_label(given, probabilities)
    own = [one.probability for one in doubts.found]
    assert own == SAME([scores[one.place] for one in doubts.found], abs=1e-6)
    assert own == sorted(own)
    assert doubts.shares()["issues"] == SAME(theirs.mean(), abs=1e-6)


def test_words_are_those_of_mecab() -> None:
    if line := unit.missing("fugashi") or unit.missing("unidic_lite"):
        pytest.skip(line)
    assert unit.words()(["公園で犬が走る。"]) == (("公園", "で", "犬", "が", "走る", "。"),)


def test_a_missing_package_says_what_to_type() -> None:
    assert "pip install" in unit.missing("no_such_package")
    assert unit.missing("json") == ""
