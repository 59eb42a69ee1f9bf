from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    CanineConfig,
    CanineForSequenceClassification,
)

from japagen.config.error import UserError
from japagen.training import embedding

IDS = {2, 5, 7, 11}


def bert(dropout: float = 0.0) -> Any:
    torch.manual_seed(0)
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    config = BertConfig(
        vocab_size=40, max_position_embeddings=16, attn_implementation="sdpa", **sizes, **rates
    )
    return cast(Any, BertForSequenceClassification)(config).train()


def steps(model: Any) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    ids = torch.tensor([[2, 5, 7, 0], [2, 11, 0, 0]])
    for _ in range(3):
        optimizer.zero_grad()
        model(
            input_ids=ids, attention_mask=(ids > 0).long(), labels=torch.tensor([0, 1])
        ).loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def test_the_narrow_embedding_trains_the_same_model() -> None:
    plain, quick = bert(), bert()
    pretrained = quick.get_input_embeddings().weight.detach().clone()
    embedding.narrow(quick, IDS)
    assert quick.get_input_embeddings().weight.shape == (5, 16)  # and the padding
    steps(plain)
    steps(quick)
    embedding.restore(quick)
    assert type(quick.get_input_embeddings()) is nn.Embedding
    assert plain.state_dict().keys() == quick.state_dict().keys()
    for name, values in plain.state_dict().items():
        # Adam amplifies gradients near 0, where the order of a sum matters.
        assert torch.allclose(values, quick.state_dict()[name], atol=1e-4), name
    others = [token for token in range(40) if token not in IDS]
    after = quick.get_input_embeddings().weight.detach()
    assert torch.equal(after[others], pretrained[others])
    assert not any(torch.equal(after[token], pretrained[token]) for token in IDS)


def test_tokens_that_training_does_not_know_keep_their_vector_when_scored() -> None:
    plain, quick = bert().eval(), bert().eval()
    embedding.narrow(quick, IDS)
    ids = torch.tensor([[2, 30, 7, 39]])
    assert torch.equal(plain(input_ids=ids).logits, quick(input_ids=ids).logits)


def test_tokens_that_a_model_puts_in_itself_keep_their_vector_in_training() -> None:
    old = nn.Embedding(10, 4)  # no padding, as T5's
    new = embedding.Embedding(old, {3, 4}).train()
    ids = torch.tensor([[3, 0, 9]])
    assert torch.equal(new(ids), old(ids))
    new(ids).sum().backward()
    assert new.weight.grad is not None
    assert torch.equal(new.weight.grad, torch.tensor([[1.0] * 4, [0.0] * 4]))


def test_a_model_without_word_embedding_is_left_alone() -> None:
    config = CanineConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_hash_buckets=64,
    )
    model = cast(Any, CanineForSequenceClassification)(config)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    embedding.narrow(model, IDS)
    assert not [module for module in model.modules() if isinstance(module, embedding.Embedding)]
    embedding.restore(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(values, after[name]) for name, values in before.items())
    embedding.check_ids(model, {10**6})


def test_processes_need_not_send_what_never_changes() -> None:
    model = bert()
    embedding.narrow(model, IDS)
    name = "bert.embeddings.word_embeddings"
    assert embedding.constant(model) == [f"{name}.{buffer}" for buffer in ("all", "places", "rows")]


def test_an_embedding_of_another_kind_stays() -> None:
    class Scaled(nn.Embedding):
        pass

    model = bert()
    model.set_input_embeddings(Scaled(40, 16))
    embedding.narrow(model, IDS)
    assert type(model.get_input_embeddings()) is Scaled


def test_tokens_beyond_the_table_of_words_are_refused() -> None:
    embedding.check_ids(bert(), {0, 39})
    with pytest.raises(UserError, match="gives token 40, but the model has only 40 tokens"):
        embedding.check_ids(bert(), {3, 40})
