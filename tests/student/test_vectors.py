"""Vectors of the embedded encoder."""

from __future__ import annotations

import numpy as np
import pytest

from japagen.student import vectors


@pytest.mark.slow
def test_similar_texts_have_similar_vectors() -> None:
    rows = [["犬が公園を走る。"], ["公園で犬が走っている。"], ["株価が大きく下がった。"]]
    found = vectors.of(rows)
    assert found.shape == (3, 1, 384)
    assert np.allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)
    first, second, third = found[:, 0]
    assert first @ second > first @ third


@pytest.mark.slow
def test_pairs() -> None:
    found = vectors.of([["犬。", "猫。"], ["猫。", "猫。"]])
    assert found.shape == (2, 2, 384)
    assert vectors.whole(found).shape == (2, 768)
    features = vectors.features(found)
    assert features.shape == (2, 4 * 384)
    assert np.allclose(features[1, 768:1152], 0), "equal texts do not differ"
