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

from japagen.training import layers

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
    layers.narrow(quick, IDS)
    assert quick.get_input_embeddings().weight.shape == (5, 16)  # and the padding
    steps(plain)
    steps(quick)
    layers.restore(quick)
    assert type(quick.get_input_embeddings()) is nn.Embedding
    assert plain.state_dict().keys() == quick.state_dict().keys()
    for name, values in plain.state_dict().items():
        # Adam makes much of a gradient near 0, of which the order of a sum is a part.
        assert torch.allclose(values, quick.state_dict()[name], atol=1e-4), name
    others = [token for token in range(40) if token not in IDS]
    after = quick.get_input_embeddings().weight.detach()
    assert torch.equal(after[others], pretrained[others])
    assert not any(torch.equal(after[token], pretrained[token]) for token in IDS)


def test_tokens_that_training_does_not_know_keep_their_vector_when_scored() -> None:
    plain, quick = bert().eval(), bert().eval()
    layers.narrow(quick, IDS)
    ids = torch.tensor([[2, 30, 7, 39]])
    assert torch.equal(plain(input_ids=ids).logits, quick(input_ids=ids).logits)


def test_tokens_that_a_model_puts_in_itself_keep_their_vector_in_training() -> None:
    old = nn.Embedding(10, 4)  # no padding, as T5's
    new = layers.Embedding(old, {3, 4}).train()
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
    layers.narrow(model, IDS)
    layers.restore(model)


def test_processes_need_not_send_what_never_changes() -> None:
    model = bert()
    layers.narrow(model, IDS)
    name = "bert.embeddings.word_embeddings"
    assert layers.constant(model) == [f"{name}.{buffer}" for buffer in ("all", "places", "rows")]


def test_an_embedding_of_another_kind_stays() -> None:
    class Scaled(nn.Embedding):
        pass

    model = bert()
    model.set_input_embeddings(Scaled(40, 16))
    layers.narrow(model, IDS)
    assert type(model.get_input_embeddings()) is Scaled


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 0.5, 0.9999])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: float) -> None:
    torch.manual_seed(0)
    dropout = layers.Dropout(rate)
    values = torch.ones(1000, 333, requires_grad=True)
    dropped = dropout(values)
    dropped.sum().backward()
    share = float((dropped == 0).float().mean())
    assert share == pytest.approx(min(rate, 255 / 256), abs=0.004)
    assert float(dropped.detach().mean()) == pytest.approx(1.0, abs=0.05)
    # What goes forwards goes backwards.
    assert values.grad is not None
    assert torch.equal(values.grad, dropped.detach())
    assert torch.equal(dropout.eval()(values), values)


def test_dropout_follows_the_seed_and_throws_anew() -> None:
    values, dropout = torch.ones(100), layers.Dropout(0.5)
    torch.manual_seed(1)
    first, second = dropout(values), dropout(values)
    torch.manual_seed(1)
    assert torch.equal(first, dropout(values))
    assert not torch.equal(first, second)


def test_the_attention_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, quick = bert(0.1), bert(0.1)
    layers.cheapen(quick)
    assert quick.config._attn_implementation == layers.NAME
    # Without what is thrown the two are comparable.
    monkeypatch.setattr(layers, "masked", lambda values, rate: values)
    ids = torch.tensor([[2, 5, 7, 0], [2, 11, 9, 3]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    assert torch.allclose(plain.eval()(**inputs).logits, quick(**inputs).logits, atol=1e-5)
    layers.restore(quick)
    assert quick.config._attn_implementation == "sdpa"
    assert {type(module) for module in quick.modules() if isinstance(module, nn.Dropout)} == {
        nn.Dropout
    }


def test_attention_drops_weights() -> None:
    quick = bert(0.5)
    layers.cheapen(quick)
    module = quick.bert.encoder.layer[0].attention.self
    values = [torch.randn(3, 2, 5, 8) for _ in range(3)]
    one, _ = layers.attention(module, *values, None, dropout=0.5)
    two, _ = layers.attention(module, *values, None, dropout=0.5)
    whole, _ = layers.attention(module, *values, None, dropout=0.0)
    assert one.shape == whole.shape == (3, 5, 2, 8)
    assert not torch.equal(one, two)
