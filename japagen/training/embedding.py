"""Train only the word vectors of tokens that occur in the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from japagen.config.error import UserError


class Embedding(nn.Embedding):
    """A word embedding that trains only the rows of `ids`; all other tokens keep their vector.

    `weight` is (len(ids), width). The gradient of a whole embedding is mostly zeros, but it is
    written, measured, clipped and applied in each step: a third of the time of a step of a small
    multilingual student. Apart from rounding, the trained rows get the values that they would get
    in a whole embedding.
    """

    all: Tensor  # (tokens, width), as pretrained
    rows: Tensor  # (len(ids),), the ids of the trained tokens
    places: Tensor  # (tokens,), where each token is in `rows`, or -1

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
        # In checkpoints: it says which tokens their weights belong to.
        self.register_buffer("rows", rows)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors (..., width) of token ids (...)."""
        places = self.places[ids]
        found = functional.embedding(places.clamp(min=0), self.weight, self.padding_idx)
        # Test rows have other tokens, and some models add tokens of their own.
        return torch.where((places >= 0).unsqueeze(-1), found, functional.embedding(ids, self.all))

    def full(self) -> nn.Embedding:
        """Return an ordinary embedding of all tokens."""
        weight = self.all.clone()
        weight[self.rows] = self.weight.detach()
        return nn.Embedding(weight.shape[0], weight.shape[1], self.outer_padding, _weight=weight)


def narrow(model: PreTrainedModel, ids: Iterable[int]) -> None:
    """Change a model so that it trains only the vectors of the tokens `ids`."""
    net: Any = model
    try:
        embedding = net.get_input_embeddings()
    except NotImplementedError:  # it has none: CANINE hashes characters
        return
    if type(embedding) is nn.Embedding:
        net.set_input_embeddings(Embedding(embedding, ids))


def restore(model: PreTrainedModel) -> None:
    """Put an ordinary embedding back."""
    net: Any = model
    for module in list(net.modules()):
        if isinstance(module, Embedding):
            net.set_input_embeddings(module.full())


def constant(module: nn.Module) -> list[str]:
    """Return the names of the buffers of narrow embeddings.

    They never change, so that processes that train together need not send them.
    """
    return [
        name
        for name, _ in module.named_buffers()
        if isinstance(module.get_submodule(name.rpartition(".")[0]), Embedding)
    ]


def check_ids(model: PreTrainedModel, ids: Iterable[int]) -> None:
    """Raise UserError if a token has no vector: tokenizer and model do not belong together."""
    net: Any = model
    try:
        known = net.get_input_embeddings().num_embeddings
    except (NotImplementedError, AttributeError):  # no table of words: CANINE, or a special one
        return
    if (highest := max(ids, default=0)) >= known:
        raise UserError(
            f"The tokenizer gives token {highest}, but the model has only {known} tokens: they do "
            f"not belong together. Use the tokenizer files that the model was published with."
        )
