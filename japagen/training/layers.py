"""Layers that train faster in place of a model's own, and are gone from what is saved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

CHANCES = 256  # what a random byte can be
NAME = "japagen"  # of our attention, among those that transformers knows


class Embedding(nn.Embedding):
    """A word embedding that trains the rows of `ids` alone: `weight` is (len(ids), width), all other tokens keep their vector.

    The gradient of a full one, mostly zeros, is written, measured, clipped and applied anew at each step: a third of the time
    of a step of a small multilingual student. The kept rows get what they would get there, but for rounding.
    """

    all: Tensor  # (tokens, width), as pretrained
    rows: Tensor  # (len(ids),), the numbers of the kept tokens
    places: Tensor  # (tokens,), where each is in `rows`, or -1

    def __init__(self, old: nn.Embedding, ids: Iterable[int]) -> None:
        rows = torch.tensor(sorted({*ids, *([] if old.padding_idx is None else [old.padding_idx])}))
        places = torch.full((old.num_embeddings,), -1)
        places[rows] = torch.arange(len(rows))
        pad = None if old.padding_idx is None else int(places[old.padding_idx])
        super().__init__(
            len(rows), old.embedding_dim, pad, _weight=old.weight.detach()[rows].clone()
        )
        self.outer_padding = old.padding_idx
        self.register_buffer("all", old.weight.detach(), persistent=False)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("rows", rows)  # in checkpoints: what their weights belong to

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (..., width) of token numbers (...)."""
        places = self.places[ids]
        found = functional.embedding(places.clamp(min=0), self.weight, self.padding_idx)
        # Other tokens come with what is scored, and from models that put in some of their own.
        return torch.where((places >= 0).unsqueeze(-1), found, functional.embedding(ids, self.all))

    def full(self) -> nn.Embedding:
        """An ordinary embedding of all tokens."""
        weight = self.all.clone()
        weight[self.rows] = self.weight.detach()
        return nn.Embedding(weight.shape[0], weight.shape[1], self.outer_padding, _weight=weight)


class Dropout(nn.Dropout):
    """Dropout whose dice are bytes: on a CPU torch throws a number of 32 bits, slowly, for every element.

    The rate is rounded to 1/256, and what stays is scaled by the rounded one, in the precision of the values.
    """

    def forward(self, values: Tensor) -> Tensor:
        """`values` with some of them 0, in training."""
        return masked(values, self.p) if self.training else values


class Mask(torch.autograd.Function):
    """Zero in `dropped` of CHANCES cases, else scaled, forwards and backwards alike."""

    @staticmethod
    def forward(context: Any, values: Tensor, dropped: int) -> Tensor:
        """Draw the mask."""
        words = torch.randint(-(2**63), 2**63 - 1, ((values.numel() + 7) // 8,))
        kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= dropped
        mask = kept.to(values.dtype).mul_(CHANCES / (CHANCES - dropped))
        context.save_for_backward(mask)
        return values * mask

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The same mask."""
        (mask,) = context.saved_tensors
        return gradients[0] * mask, None


def masked(values: Tensor, rate: float) -> Tensor:
    """`values`, about `rate` of them 0."""
    dropped = min(CHANCES - 1, round(rate * CHANCES))
    if not dropped:
        return functional.dropout(values, rate)
    found: Tensor = Mask.apply(values, dropped)  # type: ignore[no-untyped-call]
    return found


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention (rows, tokens, heads, width) of (rows, heads, tokens, width), its dropout as above; torch's own where there is none.

    `mask`: (rows, 1, tokens, tokens), False where nothing is to be seen, or numbers to add. Precision is that of transformers' eager
    attention: under autocast the scores are bfloat16, the softmax is not.
    """
    rate = options.get("dropout", 0.0)
    causal = options.get("is_causal") or getattr(module, "is_causal", False)
    if rate <= 0 or causal or key.shape != query.shape or options.get("position_bias") is not None:
        return sdpa_attention_forward(module, query, key, value, mask, **options)
    scores = torch.matmul(
        query * (options.get("scaling") or query.shape[-1] ** -0.5), key.transpose(2, 3)
    )
    if mask is not None:
        scores = (
            scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
            if mask.dtype == torch.bool
            else scores + mask
        )
    weights = masked(torch.softmax(scores, -1).to(value.dtype), rate)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


def narrow(model: PreTrainedModel, ids: Iterable[int]) -> None:
    """Have a model that is trained on tokens `ids` alone train their vectors alone."""
    net: Any = model
    try:
        embedding = net.get_input_embeddings()
    except NotImplementedError:  # it has none: CANINE hashes characters
        return
    if type(embedding) is nn.Embedding:
        net.set_input_embeddings(Embedding(embedding, ids))


def constant(module: nn.Module) -> list[str]:
    """The buffers of narrow embeddings, which never change: processes that train together need not send them."""
    return [
        name
        for name, _ in module.named_buffers()
        if isinstance(module.get_submodule(name.rpartition(".")[0]), Embedding)
    ]


def cheapen(model: PreTrainedModel) -> None:
    """Give a model that is trained on a CPU our dropout and attention."""
    net: Any = model
    for module in net.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
    # Models with another name for this rate have their own ways, or no such dropout.
    rate, known = (
        getattr(net.config, "attention_probs_dropout_prob", 0.0),
        getattr(net, "_supports_attention_backend", False),
    )
    if rate > 0 and known and net.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        net.set_attn_implementation(NAME)


def restore(model: PreTrainedModel) -> None:
    """Put the model's own layers back."""
    net: Any = model
    for module in list(net.modules()):
        if isinstance(module, Embedding):
            net.set_input_embeddings(module.full())
        if isinstance(module, Dropout):
            cast(Any, module).__class__ = nn.Dropout
    if net.config._attn_implementation == NAME:
        net.set_attn_implementation("sdpa")
