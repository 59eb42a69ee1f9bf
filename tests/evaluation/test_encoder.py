"""evaluate.py subject=encoder: the cosine of the untrained encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from japagen.command import evaluate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import EvaluateConfig
from japagen.evaluation import encoder
from japagen.gold.example import Example
from japagen.student import vectors
from tests.conftest import Compose

LEVELS = [0.4, 3.0, 1.7, 4.9]


def write(folder: Path) -> Path:
    """Write JSTS rows whose texts are angles, the smaller the higher their level."""
    (folder / "jsts-v1.3").mkdir(parents=True)
    rows = [
        {
            "sentence_pair_id": str(n),
            "sentence1": "0",
            "sentence2": str(1 - level / 5),
            "label": level,
        }
        for n, level in enumerate(LEVELS)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("train", "valid"):
        (folder / "jsts-v1.3" / f"{name}-v1.3.json").write_text(text, encoding="utf-8")
    return folder


def of(rows: list[tuple[str, str]]) -> np.ndarray:
    """Vectors whose angles are the texts of the rows."""
    angles = np.array([[float(text) for text in row] for row in rows])
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def test_pairs_in_the_order_of_their_cosine(
    composed: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recorded: dict[str, float],
) -> None:
    monkeypatch.setattr(vectors, "of", of)
    words = ["subject=encoder", "task=jsts", f"gold_dir={write(tmp_path / 'gold')}"]
    assert evaluate.run(composed("evaluate", *words)) == pytest.approx(1)
    assert recorded["score"] == pytest.approx(1)


def test_a_pair_of_equal_texts_is_at_the_highest_level(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "of", of)
    task = check(composed("evaluate", "task=jsts"), EvaluateConfig).task
    rows = [Example("a", ("1", "1"), "5"), Example("b", ("0", str(np.pi / 2)), "0")]
    found = [row["predicted"] for row in encoder.predictions(task, rows)]
    assert found == pytest.approx([5.0, 0.0])


@pytest.mark.parametrize("task", ["jnli", "hotel_reviews"])
def test_tasks_without_levels_of_pairs_are_refused(composed: Compose, task: str) -> None:
    with pytest.raises(UserError, match="is for pairs with numbers as labels"):
        evaluate.run(composed("evaluate", "subject=encoder", f"task={task}"))
