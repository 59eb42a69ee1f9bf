"""Vectors of the embedded encoder."""

from __future__ import annotations

import numpy as np
import pytest

from japagen.student import vectors


@pytest.mark.slow
def test_similar_texts_have_similar_vectors() -> None:
    rows = [["犬が公園を走る。"], ["公園で犬が走っている。"], ["株価が大きく下がった。"]]
    found = vectors.of(rows)
    assert found.shape == (3, 384)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    near, far = found[0] @ found[1], found[0] @ found[2]
    assert near > far
    assert vectors.of([["犬。", "猫。"]]).shape == (1, 768)
