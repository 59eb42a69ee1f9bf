"""A random student of two small layers and a tokenizer of characters: needs no file."""

from __future__ import annotations

import string
from typing import Any, cast

from transformers import PreTrainedModel, PreTrainedTokenizerBase


def tiny(max_length: int, **options: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return two small random layers and their tokenizer; the same for the same torch seed."""
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = characters(max_length)
    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
    }
    config = BertConfig(
        vocab_size=len(tokenizer), **sizes, max_position_embeddings=max_length, **options
    )
    return BertForSequenceClassification(config), tokenizer


def characters(max_length: int) -> PreTrainedTokenizerBase:
    """Return a tokenizer of single characters: ASCII and JIS X 0208 (kana, signs, 6,355 kanji)."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(vocabulary(), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    roles: dict[str, Any] = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }
    fast: Any = PreTrainedTokenizerFast
    return cast(
        "PreTrainedTokenizerBase",
        fast(tokenizer_object=tokenizer, model_max_length=max_length, **roles),
    )


def vocabulary() -> dict[str, int]:
    """Return the id of each token; the characters come from Python's own codec."""
    cells = range(0xA1, 0xFF)
    jis = (bytes([row, cell]).decode("euc_jp", "ignore") for row in cells for cell in cells)
    known = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *string.printable, *jis])
    known.pop("", None)
    return {character: number for number, character in enumerate(known)}
