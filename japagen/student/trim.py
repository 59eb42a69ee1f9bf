"""Reduce a multilingual student to the part of its vocabulary that Japanese text may need."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from japagen.config.error import UserError
from japagen.text.japanese import is_japanese

log = logging.getLogger(__name__)


def trim(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, changed in place, and a tokenizer without the pieces of other scripts.

    Japanese text gets the same pieces as before. Raises UserError unless the tokenizer is a Unigram
    one (as SentencePiece makes it for XLM-R, E5, mDeBERTa): merges of BPE build on each other.
    """
    described = description(tokenizer)
    rows = kept(described)
    if (
        tokenizer.pad_token_id is not None
        and rows.index(tokenizer.pad_token_id) != tokenizer.pad_token_id
    ):
        raise UserError(
            "student.trim=true: the padding token is not among the first tokens, so its id would "
            "change: use student.trim=false"
        )
    before = len(tokenizer)
    renumber(described, rows)
    shrink(model, rows)
    log.info("student.trim: %d of %d tokens are kept", len(rows), before)
    return model, rebuilt(described, tokenizer)


def to_corpus(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, used: Collection[int]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model, changed in place, and a tokenizer with only the tokens `used` and a few.

    Single characters and special tokens stay. The texts whose tokens are `used` get the same
    pieces as before; others fall back to shorter pieces and characters. Raises UserError unless
    the tokenizer is a Unigram one.
    """
    described = description(tokenizer, "corpus_vocabulary")
    vocabulary = described["model"]["vocab"]
    short = {n for n, (piece, _) in enumerate(vocabulary) if len(piece.removeprefix("▁")) <= 1}
    rows = sorted(short.union(used, always(described)))
    before = len(tokenizer)
    renumber(described, rows)
    shrink(model, rows)
    log.info("student.corpus_vocabulary: %d of %d tokens are kept", len(rows), before)
    return model, rebuilt(described, tokenizer)


def description(tokenizer: PreTrainedTokenizerBase, option: str = "trim") -> dict[str, Any]:
    """Return the content of tokenizer.json; `option` of the student is named in the error."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    described = (
        json.loads(backend.to_str())
        if backend is not None
        else {"model": {"type": type(tokenizer).__name__}}
    )
    if described["model"]["type"] != "Unigram":
        raise UserError(
            f"student.{option}=true works with tokenizers of the kind Unigram; this one is "
            f"{described['model']['type']}: use student.{option}=false"
        )
    return cast("dict[str, Any]", described)


def kept(described: dict[str, Any]) -> list[int]:
    """Return the old ids of the tokens that stay: special ones, and what Japanese text may need."""
    vocabulary = described["model"]["vocab"]
    rows = {number for number, (piece, _) in enumerate(vocabulary) if is_japanese(piece)}
    return sorted(rows | always(described))


def always(described: dict[str, Any]) -> set[int]:
    """Return the ids of special tokens, and of the piece with the lowest score.

    The score of an unknown character is derived from that one.
    """
    vocabulary = described["model"]["vocab"]
    lowest = min(range(len(vocabulary)), key=lambda number: vocabulary[number][1])
    return {lowest} | {token["id"] for token in described["added_tokens"]}


def renumber(described: dict[str, Any], rows: list[int]) -> None:
    """Change a description so that it has only the tokens `rows`."""
    new, vocabulary = {old: number for number, old in enumerate(rows)}, described["model"]["vocab"]
    described["model"]["vocab"] = [vocabulary[old] for old in rows if old < len(vocabulary)]
    described["model"]["unk_id"] = new.get(described["model"]["unk_id"])
    described["padding"] = described["truncation"] = None
    for token in described["added_tokens"]:
        token["id"] = new[token["id"]]
    for processor in processors(described["post_processor"]):
        for special in processor.get("special_tokens", {}).values():
            special["ids"] = [new[old] for old in special["ids"]]
        # BertProcessing and RobertaProcessing: a token and its number.
        for key in processor.keys() & {"sep", "cls"}:
            processor[key] = [processor[key][0], new[processor[key][1]]]


def processors(described: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return a post-processor, or those of a sequence of them, as a list."""
    return list((described or {}).get("processors", [described] if described else []))


def shrink(model: PreTrainedModel, rows: list[int]) -> None:
    """Keep `rows` of the word embedding."""
    net: Any = model
    old = net.get_input_embeddings()
    new = nn.Embedding(len(rows), old.embedding_dim, padding_idx=old.padding_idx)
    with torch.no_grad():
        new.weight.copy_(old.weight[rows])
    net.set_input_embeddings(new)
    net.config.vocab_size = len(rows)
    for key in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if getattr(net.config, key, None) in rows:
            setattr(net.config, key, rows.index(getattr(net.config, key)))


def rebuilt(
    described: dict[str, Any], tokenizer: PreTrainedTokenizerBase
) -> PreTrainedTokenizerBase:
    """Return a tokenizer of the new description with the old one's special tokens and settings."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    roles = {
        role: token
        for role, token in tokenizer.special_tokens_map.items()
        if isinstance(token, str)
    }
    settings = {
        key: getattr(tokenizer, key)
        for key in ("model_max_length", "model_input_names", "padding_side", "truncation_side")
    }
    fast: Any = PreTrainedTokenizerFast
    return cast(
        "PreTrainedTokenizerBase",
        fast(tokenizer_object=Tokenizer.from_str(json.dumps(described)), **roles, **settings),
    )
