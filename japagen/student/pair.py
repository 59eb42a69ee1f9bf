"""A bi-encoder: a student that encodes the two texts of a pair separately and compares them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.student import head, layers

# What the head sees besides the vectors: their cosine, and how much the tokens overlap.
MEASURES = 6
# Vectors have length 1, so their parts and the differences of cosines are small. With these factors
# one strength of regularisation fits them all; chosen on gold train rows of JNLI.
COSINE, PARTS = 10.0, 5.0


class PairConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """`encoder`: the config of the encoder. `separator`: the token at the end of a text."""

    model_type = "japagen_pair"

    def __init__(
        self, encoder: dict[str, Any] | None = None, separator: int = 0, **options: Any
    ) -> None:
        self.encoder, self.separator = encoder or {}, separator
        super().__init__(**options)


class Pair(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Logits from the vectors u and v of two texts: a linear layer on |u - v|, u * v and MEASURES.

    Its inputs are those of a model that reads both texts as one. Sources: Reimers and Gurevych
    2019, "Sentence-BERT", section 3; of the features Conneau et al. 2017, "Supervised Learning of
    Universal Sentence Representations", section 3.2.
    """

    config_class = PairConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: PairConfig, encoder: nn.Module | None = None) -> None:
        super().__init__(config)
        self.encoder = encoder or empty(config)
        inner: Any = self.encoder
        inner.pooler = None  # its weights would have no gradient
        self.dropout = nn.Dropout(getattr(inner.config, "hidden_dropout_prob", 0.0))
        width = MEASURES + 2 * inner.config.hidden_size
        self.classifier = nn.Linear(width, config.num_labels or 1)
        cast(Any, self).post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the encoder's embedding of tokens."""
        return cast(nn.Module, cast(Any, self.encoder).get_input_embeddings())

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Change the encoder's embedding of tokens."""
        cast(Any, self.encoder).set_input_embeddings(value)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, **_: object
    ) -> SequenceClassifierOutput:
        """Return logits (rows, labels) of pairs (rows, tokens)."""
        first, second = apart(input_ids, attention_mask, self.config.separator)
        ids, mask = (torch.cat(both) for both in zip(first, second, strict=True))
        longest = mask.sum(1).max()
        ids, mask = ids[:, :longest], mask[:, :longest]
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        u, v = vectors(states, mask).chunk(2)
        cosine = COSINE * (u * v).sum(1, keepdim=True)
        parts = PARTS * self.dropout(torch.cat([(u - v).abs(), u * v], 1))
        shared = overlap(*first, *second).to(u.dtype)
        return SequenceClassifierOutput(
            logits=self.classifier(torch.cat([cosine, shared, parts], 1))
        )


def empty(config: PairConfig) -> nn.Module:
    """Return the encoder that a config describes, whose weights are loaded later."""
    opener, inner = cast(Any, AutoModel), cast(Any, AutoConfig).for_model(**config.encoder)
    # Exports ask for the eager implementation of attention; not every encoder has another one.
    asked = "eager" if config._attn_implementation == "eager" else None
    options = {"dtype": torch.get_default_dtype(), "attn_implementation": asked}
    return cast(nn.Module, opener.from_config(inner, **options))


def apart(ids: Tensor, mask: Tensor, separator: int) -> list[tuple[Tensor, Tensor]]:
    """Return (ids, mask) of each of two texts, as if each was tokenized alone; all (rows, tokens).

    `ids`: the first text, one separator (BERT) or two (XLM-R), and the second text.
    """
    places = torch.arange(ids.shape[1], device=ids.device)
    ends = (ids == separator).long()
    first_end = ends.argmax(1, keepdim=True)
    following = (first_end + 1).clamp(max=ids.shape[1] - 1)
    start = first_end + ends.gather(1, following)  # the last separator, where the text's [CLS] goes
    moved = ids.gather(1, (places + start).clamp(max=ids.shape[1] - 1))
    moved = torch.where(places == 0, ids[:, :1], moved)
    length = (mask.sum(1, keepdim=True) - start).clamp(min=1)
    return [(ids, (places <= first_end).to(mask.dtype)), (moved, (places < length).to(mask.dtype))]


def vectors(states: Tensor, mask: Tensor) -> Tensor:
    """Return (rows, width) of length 1: the means of states (rows, tokens, width)."""
    weight = mask.unsqueeze(-1).to(states.dtype)
    return functional.normalize((states * weight).sum(1) / weight.sum(1).clamp(min=1), dim=-1)


def overlap(ids: Tensor, mask: Tensor, others: Tensor, their_mask: Tensor) -> Tensor:
    """Return (rows, MEASURES - 1), each from 0 to 1.

    The shares of the tokens, and of the neighbouring two, that the other text has, for both texts;
    and the first text's share of all tokens.
    """
    mine, theirs = words(mask), words(their_mask)
    same = (ids.unsqueeze(2) == others.unsqueeze(1)) & mine.unsqueeze(2) & theirs.unsqueeze(1)
    both = same[:, :-1, :-1] & same[:, 1:, 1:]
    own, other = mine.sum(1), theirs.sum(1)
    found = [
        equal.any(dim).sum(1) / (count - less).clamp(min=1)
        for less, equal in enumerate((same, both))
        for dim, count in ((2, own), (1, other))
    ]
    return torch.stack([*found, own / (own + other).clamp(min=1)], 1)


def words(mask: Tensor) -> Tensor:
    """Return where a text has tokens of its own (rows, tokens): not its first and last one."""
    places = torch.arange(mask.shape[1], device=mask.device)
    return (places > 0) & (places < mask.sum(1, keepdim=True) - 1)


def wrap(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, student: Student) -> Pair:
    """Return a bi-encoder around the encoder of `model`, with a random head.

    The tokenizer pads on the right from now on. Raises UserError if student and tokenizer are not
    fit for a bi-encoder.
    """
    for problem in problems(tokenizer, student):
        raise UserError(
            f"student.pairs=bi_encoder: {problem}; or type student.pairs=cross_encoder "
            f"student.few_rows.pairs=cross_encoder"
        )
    tokenizer.padding_side = "right"
    head.drop_mean_layer(model)
    encoder, old = layers.encoder(model), model.config
    for part in encoder.modules():  # else the new model gives some of them random weights
        cast(Any, part)._is_hf_initialized = True
    outputs = {key: getattr(old, key) for key in ("id2label", "label2id", "problem_type")}
    config = PairConfig(cast(Any, encoder).config.to_dict(), tokenizer.sep_token_id, **outputs)
    return Pair(config, encoder)


def problems(tokenizer: PreTrainedTokenizerBase, student: Student) -> Iterator[str]:
    """Yield what a bi-encoder cannot do, and what to type."""
    if student.prefix:
        yield (
            f"student.prefix ('{student.prefix}') is put before the first text alone: type "
            f'student.prefix=""'
        )
    if student.pooling == "cls":
        yield "it takes the mean of all tokens: type student.pooling=mean"
    if not splits(tokenizer):
        yield (
            f"the tokenizer of {student.pretrained} does not put its separator between texts, so "
            f"they cannot be told apart: take another student"
        )


def splits(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether `apart` gives the tokens of each text of a pair."""
    if tokenizer.sep_token_id is None:
        return False
    call: Any = tokenizer
    ids = torch.tensor([call("犬が走る", "山と川")["input_ids"]])
    found = apart(ids, torch.ones_like(ids), tokenizer.sep_token_id)
    alone = [call(text)["input_ids"] for text in ("犬が走る", "山と川")]
    return [one[0][kept[0].bool()].tolist() for one, kept in found] == alone


AutoConfig.register(PairConfig.model_type, PairConfig)
AutoModelForSequenceClassification.register(PairConfig, Pair)
