"""Open config, tokenizer and weights with transformers: no code and no pickled objects from files.

Every call to `from_pretrained` in this package goes through here, so that a folder from outside is
read as data only, and a damaged file ends in one message instead of a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from japagen.config.error import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# `auto_map` in a config names Python files beside it: never run them, not even after a question.
NO_CODE: dict[str, Any] = {"trust_remote_code": False}
# Of a pickled pytorch_model.bin only tensors are read. safetensors files hold nothing else.
NO_OBJECTS: dict[str, Any] = {**NO_CODE, "weights_only": True}


@contextmanager
def one_message(text: Callable[[Exception], str]) -> Iterator[None]:
    """Raise UserError with `text(error)` for whatever opening a file raises.

    Broad on purpose: safetensors, tokenizers (a bare Exception), pickle, json and transformers
    each have their own errors for a damaged file.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(text(error)) from error


def open_config(source: str | Path, **options: Any) -> Any:
    """Return the transformers config in a folder or of a hub id."""
    from transformers import AutoConfig

    from japagen.student import pair  # noqa: F401 - it makes bi-encoders known

    return AutoConfig.from_pretrained(source, **NO_CODE, **options)


def open_tokenizer(source: str | Path, **options: Any) -> PreTrainedTokenizerBase:
    """Return the tokenizer in a folder or of a hub id."""
    from transformers import AutoTokenizer

    opener: Any = AutoTokenizer
    return cast("PreTrainedTokenizerBase", opener.from_pretrained(source, **NO_CODE, **options))


def open_model(source: str | Path, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Return (a model with a head for labels, what transformers says about its keys), in 32 bits.

    Without `dtype` transformers takes the precision of the file, and half precision does not train.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    from japagen.student import pair  # noqa: F401 - it makes bi-encoders known

    opener: Any = AutoModelForSequenceClassification
    options = {**options, "dtype": torch.float32, "output_loading_info": True}
    model, info = opener.from_pretrained(source, **NO_OBJECTS, **options)
    return model, info


def open_saved_tokenizer(folder: Path, option: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a student in `folder`; `option` is what the user typed to name it."""
    with one_message(lambda error: f"{damaged(folder, option)}: {reason(error)}"):
        return open_tokenizer(folder, local_files_only=True)


def open_weights(folder: Path, option: str = "student") -> PreTrainedModel:
    """Return the model of a student in `folder`, in evaluation mode.

    Raises UserError for a damaged folder, also if the weights file lacks some of the model's
    parameters: transformers would fill in random values.
    """
    with one_message(lambda error: f"{damaged(folder, option)}: {reason(error)}"), no_bars():
        model, info = open_model(folder, local_files_only=True)
    if missing := sorted(info["missing_keys"]):
        raise UserError(
            f"{damaged(folder, option)}: its weights lack {len(missing)} parameters, "
            f"e.g. {missing[0]}"
        )
    model.eval()  # type: ignore[no-untyped-call]
    return model


@contextmanager
def no_bars() -> Iterator[None]:
    """Hide the progress bar of loading weights, which takes a moment here."""
    from transformers.utils import logging

    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


def cannot_open(folder: Path, option: str, error: Exception) -> str:
    """Return what is wrong with a student that cannot be opened."""
    return f"{damaged(folder, option)}: {reason(error)}"


def damaged(folder: Path, option: str) -> str:
    """Return the start of a message on a student that cannot be opened."""
    return f"{option}={folder}: this student cannot be opened. Train it again or copy it again"


def reason(error: Exception) -> str:
    """Return the first lines of an error with its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([f"{type(error).__name__}:", *lines[:2]])
