"""A random student that needs no file, for tests."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def student(max_length: int, **options: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Two small random layers over characters; they know nothing, need no file and are the same for the same seed."""
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = characters(max_length)
    sizes: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = BertConfig(vocab_size=len(tokenizer), **sizes, max_position_embeddings=max_length, **options)
    return BertForSequenceClassification(config), tokenizer


def characters(max_length: int) -> PreTrainedTokenizerBase:
    """A tokenizer of single characters: ASCII and all of JIS X 0208 (kana, signs, 6,355 kanji), from Python's own codec."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    jis = (bytes([row, cell]).decode("euc_jp", "ignore") for row in range(0xA1, 0xFF) for cell in range(0xA1, 0xFF))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = dict.fromkeys([*special, *string.printable, *jis])
    known.pop("", None)
    tokenizer = Tokenizer(models.WordLevel({character: number for number, character in enumerate(known)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    roles: dict[str, Any] = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    roles["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    fast: Any = PreTrainedTokenizerFast
    return cast("PreTrainedTokenizerBase", fast(tokenizer_object=tokenizer, model_max_length=max_length, **roles))
