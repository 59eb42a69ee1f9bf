"""question.calibrate=true in the prompting baseline."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from japagen import llm
from japagen.command import evaluate
from japagen.config.check import check
from japagen.config.schema import EvaluateConfig
from japagen.evaluation import prompting
from japagen.gold import load
from japagen.llm import fake
from japagen.quality import labels
from japagen.quality.data import Data
from japagen.quality.measured import Measured
from tests.conftest import Compose
from tests.toys import write_toys

CALIBRATED = pytest.mark.parametrize(("calibrate", "accuracy"), [("false", 0.5), ("true", 1.0)])


class Biased(fake.Fake):
    """Recognises dogs and cats, but prefers 正しい: in 95 % of the texts without content."""

    async def complete(self, request: llm.Request) -> llm.Completion:
        asked = request.messages[-1]["content"]
        right = 0.8 if "犬" in asked else 0.2 if "猫" in asked else 0.5
        weights = {"正": 0.95 * right, "誤": 0.05 * (1 - right)}
        total = sum(weights.values())
        top = {token: math.log(weight / total) for token, weight in weights.items()}
        return llm.Completion("正しい", "stop", 5, 1, top if request.top else {})


@pytest.mark.slow
@CALIBRATED
def test_calibration_divides_the_answers_by_those_to_empty_texts(
    composed: Compose,
    tmp_path: Path,
    recorded: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    calibrate: str,
    accuracy: float,
) -> None:
    monkeypatch.setattr(fake, "Fake", Biased)
    words = ["task=jcola", f"gold_dir={write_toys(tmp_path / 'gold')}"]
    cfg = composed("evaluate", *words, f"question.calibrate={calibrate}")
    evaluate.run(cfg)
    assert recorded["test/accuracy"] == accuracy
    again = dict(recorded)
    evaluate.run(cfg)  # from the journal, without the LLM
    assert recorded["test/accuracy"] == again["test/accuracy"]


@pytest.mark.slow
@CALIBRATED
def test_agreement_and_timed_answers_are_calibrated_too(
    composed: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calibrate: str,
    accuracy: float,
) -> None:
    """And answers about synthetic rows are not among those to gold rows."""
    monkeypatch.setattr(fake, "Fake", Biased)
    words = ["task=jcola", f"gold_dir={write_toys(tmp_path / 'gold')}"]
    words.append(f"question.calibrate={calibrate}")
    config = check(composed("evaluate", *words), EvaluateConfig)
    asked = prompting.of(config)
    rows = load.load(config.task, "test", config.gold_dir)
    predicted, _ = prompting.timed(asked, rows)
    assert sum(row["predicted"] == row["gold"] for row in predicted) / len(rows) == accuracy
    found = Measured(Data(config.task, rows))
    labels.by_llm(found, asked, len(rows))
    assert found.metrics["llm_agreement"] == accuracy
    assert not asked.folder().exists()


def test_an_engine_without_probabilities_is_named(
    composed: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["task=jcola", f"gold_dir={write_toys(tmp_path / 'gold')}"]

    class Silent(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            return llm.Completion("正しい", "stop", 5, 1)

    with pytest.MonkeyPatch.context() as patch, caplog.at_level("WARNING"):
        patch.setattr(fake, "Fake", Silent)
        evaluate.run(composed("evaluate", *words, "question.calibrate=true"))
    assert "gives no token probabilities" in caplog.text


def test_an_answer_that_is_not_among_the_likely_tokens_is_unlikely(
    composed: Compose,
    tmp_path: Path,
    recorded: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the tokens that begin an answer are stored, but the others still say how rare it is."""

    class Sure(Biased):
        async def complete(self, request: llm.Request) -> llm.Completion:
            asked = request.messages[-1]["content"]
            if "犬" not in asked and "猫" not in asked:
                return await super().complete(request)
            first = "正" if "犬" in asked else "誤"
            top = {first: math.log(0.98), "は": math.log(0.0001)}
            return llm.Completion("正しい", "stop", 5, 1, top if request.top else {})

    monkeypatch.setattr(fake, "Fake", Sure)
    words = ["task=jcola", f"gold_dir={write_toys(tmp_path / 'gold')}"]
    evaluate.run(composed("evaluate", *words, "question.calibrate=true"))
    assert recorded["test/accuracy"] == 1.0
