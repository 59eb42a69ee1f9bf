"""The model card: scores with their baselines, and an example that fits the student."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from japagen.training import model_card
from tests.training.toy_rows import Make

MEASURED = {"test/mcc": 0.25, "majority/accuracy": 0.8, "train/seconds": 9.0}


def test_the_card_has_scores_with_baselines_and_no_other_metrics(make: Make) -> None:
    text = model_card.markdown(make(), MEASURED, 865, "", [])
    assert yaml.safe_load(text.split("---")[1])["language"] == "ja"
    assert "| test/mcc | 0.2500 |\n" in text
    assert "| majority/accuracy | 0.8000 |" in text
    assert "seconds |" not in text
    assert "On 865 gold test rows of the task jcola:" in text
    assert text.index("test/mcc") < text.index("majority/accuracy")
    assert "base_model" not in text
    assert "python generate.py task=jcola" in text
    assert "truncation=True" in text


def test_a_score_that_is_not_on_gold_says_so(make: Make) -> None:
    text = model_card.markdown(make(), {"heldout/mcc": 0.9}, 12, "no gold files", [])
    assert "NOT on gold rows" in text


def test_the_example_has_the_prefix_and_the_inputs_of_the_task(make: Make) -> None:
    training = make()
    student = replace(training.student, prefix="query: ")
    task = replace(training.task, inputs=["premise", "hypothesis"])
    text = model_card.markdown(replace(training, student=student, task=task), MEASURED, 865, "", [])
    assert '{"text": "query: 公園' in text
    assert "Every text starts with `query: `" in text
    assert "`text` is premise, `text_pair` is hypothesis." in text


def test_the_models_of_a_hub_are_named(make: Make) -> None:
    training = make()
    student = replace(training.student, pretrained="sbintuitions/modernbert-ja-30m")
    text = model_card.markdown(replace(training, student=student), MEASURED, 865, "", [])
    assert yaml.safe_load(text.split("---")[1])["base_model"] == "sbintuitions/modernbert-ja-30m"


def test_gold_training_names_no_llm(make: Make) -> None:
    text = model_card.markdown(make("data=gold"), MEASURED, 865, "", [])
    assert "Training data: gold of the task." in text
    assert "LLM" not in text


@pytest.mark.parametrize("name", ["predictions.jsonl", "training.ckpt", "MLmodel"])
def test_predictions_on_gold_rows_are_not_uploaded(name: str) -> None:
    from fnmatch import fnmatch

    assert not any(fnmatch(name, pattern) for pattern in model_card.uploaded())
    assert any(fnmatch("model.safetensors", pattern) for pattern in model_card.uploaded())
