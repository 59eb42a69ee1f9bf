"""A student with the lowest layers of its encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.student import layers

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
FAMILIES = {
    "bert": (BertForSequenceClassification, BertConfig, {}),
    "xlm-roberta": (XLMRobertaForSequenceClassification, XLMRobertaConfig, {}),
    "deberta": (DebertaV2ForSequenceClassification, DebertaV2Config, {"relative_attention": True}),
    "modernbert": (
        ModernBertForSequenceClassification,
        ModernBertConfig,
        {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2},
    ),
}


def build(family: str) -> Any:
    """A random model of a family with four layers."""
    torch.manual_seed(0)
    model, config, more = FAMILIES[family]
    return model(config(**SIZES, **more)).eval()


def student(number: int) -> Student:
    """Options that keep so many layers."""
    return Student(name="x", pretrained="p", layers=number)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lowest_layers_are_kept_and_saved(tmp_path: Path, family: str) -> None:
    model, whole = build(family), build(family)
    layers.keep(model, student(3))
    ids = {"input_ids": torch.tensor([[1, 5, 6, 7, 2]]), "attention_mask": torch.ones(1, 5).long()}
    with torch.no_grad():
        states = whole(**ids, output_hidden_states=True).hidden_states
        kept = model(**ids, output_hidden_states=True)
        assert len(kept.hidden_states) == len(states) - 1
        assert torch.allclose(kept.hidden_states[2], states[2], atol=1e-6)
        model.save_pretrained(tmp_path)
        opened = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
        assert opened.config.num_hidden_layers == 3
        assert torch.allclose(opened(**ids).logits, kept.logits, atol=1e-6)


def test_more_layers_than_there_are_is_one_message() -> None:
    with pytest.raises(UserError, match=r"student\.layers is 5; p has 4: type student\.layers=N"):
        layers.keep(build("bert"), student(5))


def test_an_encoder_without_a_list_of_layers_is_refused() -> None:
    model = build("bert")
    model.config.num_hidden_layers = 9
    with pytest.raises(UserError, match="the layers of a bert model are not known"):
        layers.keep(model, student(2))
