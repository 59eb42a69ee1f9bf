"""evaluate.py subject=dataset, and the cheap part at the end of a generation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from japagen import tracking
from japagen.command import evaluate, generate, train
from japagen.config.error import UserError
from japagen.gold.example import Example
from japagen.quality import labels, measure, unit
from japagen.quality.data import Data
from japagen.quality.measured import Measured
from tests.conftest import Compose
from tests.quality import plant
from tests.toys import FAST, saved
from tests.weather import shipped

CHEAP = "embedded_rows=0"


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The last text of each artifact that a job records, by name."""
    found: dict[str, str] = {}

    def text(_run: tracking.Run, content: str, name: str) -> None:
        found[name] = content

    monkeypatch.setattr(tracking.Run, "text", text)
    return found


@pytest.mark.slow
def test_a_generation_ends_with_the_cheap_part(
    composed: Compose,
    recorded: dict[str, float],
    texts: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    generate.run(composed("generate", "task=marc_ja", "num_per_label=4"))
    assert recorded["quality/rows"] == 8
    assert 0 <= recorded["quality/diversity"] <= 1
    assert not [name for name in recorded if "gold" in name or "word_" in name]
    assert texts["quality.md"].startswith("# Quality of fake")
    (page,) = Path("synthetic/marc_ja").glob("*/quality.html")
    assert page.read_text() == texts["quality.html"]
    assert f"quality: {page}" in capsys.readouterr().out
    page.write_text("as it is")
    generate.run(composed("generate", "task=marc_ja", "num_per_label=4"))
    assert page.read_text() == "as it is"  # nothing was generated


@pytest.mark.slow
def test_without_gold_the_rest_is_measured(
    composed: Compose, recorded: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["task=marc_ja", "num_per_label=4"]
    generate.run(composed("generate", *words))
    assert evaluate.run(composed("evaluate", *words, "subject=dataset", CHEAP)) == pytest.approx(
        recorded["quality/diversity"]
    )
    out = capsys.readouterr().out
    assert "Not compared with gold train rows" in out
    assert "label correctness: not measured" in out
    assert not [name for name in recorded if "gold" in name]


def test_a_missing_dataset_is_named(composed: Compose, gold_dir: Path) -> None:
    words = ["task=jcola", "num_per_label=8", f"gold_dir={gold_dir}"]
    with pytest.raises(
        UserError, match=r"(?s)is not there\. Make it with:.*generate\.py task=jcola"
    ):
        evaluate.run(composed("evaluate", *words, "subject=dataset"))


@pytest.mark.slow
def test_a_dataset_without_rows_is_measured(composed: Compose, gold_dir: Path) -> None:
    words = ["task=jcola", "num_per_label=2", f"gold_dir={gold_dir}"]
    words.append("llm.engine.malformed_rate=1")
    generate.run(composed("generate", *words, "max_attempts=1", "max_shortfall=1"))
    train.run(composed("train", "task=jcola", f"gold_dir={gold_dir}", "data=gold", *FAST))
    options = ["subject=dataset", f"student.path={saved()}", "prompted_rows=4"]
    assert evaluate.run(composed("evaluate", *words, *options)) == 0


@pytest.mark.slow
def test_labels_are_compared_with_a_student_and_the_llm(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["task=jcola", "num_per_label=8", f"gold_dir={gold_dir}"]
    generate.run(composed("generate", *words))
    train.run(composed("train", "task=jcola", f"gold_dir={gold_dir}", "data=gold", *FAST))
    options = ["subject=dataset", CHEAP, f"student.path={saved()}", "prompted_rows=6"]
    evaluate.run(composed("evaluate", *words, *options))
    assert recorded["quality/divergence"] > recorded["quality/gold_divergence"]
    assert recorded["quality/label_correctness"] == pytest.approx(
        (
            recorded["quality/label_correctness/acceptable"]
            + recorded["quality/label_correctness/unacceptable"]
        )
        / 2
    )
    assert 0 <= recorded["quality/student_score"] <= 1
    assert 0 <= recorded["quality/llm_agreement"] <= 1
    assert 0 <= recorded["quality/issues"] <= 1
    assert "the student agrees with" in capsys.readouterr().out


def test_a_student_doubts_no_similarity() -> None:
    task = shipped("jsts")
    rows = [Example(label, ("犬が走る。", "猫が寝る。"), label) for label in task.labels]
    assert labels.student_doubts(Measured(Data(task, rows)), rows, np.zeros((6, 1))) is None


def test_what_is_not_installed_is_left_out_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "missing", lambda package: f"{package} is not installed; type: pip")
    found = Measured(Data(plant.TASK, plant.meals(20, 0)))
    measure.worded(found)
    assert found.notes == ["words: not measured. fugashi is not installed; type: pip"]
    assert not found.metrics
