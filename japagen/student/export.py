"""A saved student as ONNX: the same labels without torch, checked on gold rows before it counts as done."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.schema import TrainConfig

if TYPE_CHECKING:
    import numpy as np

    from japagen.gold.example import Example

log = logging.getLogger(__name__)

ROWS = 500  # on which the two are compared
BATCH = 32
TOLERANCE = 1e-3  # of a score from 0 to 1: two engines add in different orders


def onnx(folder: Path, config: TrainConfig, rows: Sequence[Example]) -> dict[str, float]:
    """Write `folder`/model.onnx and compare it with the saved student on `rows`; returns its metrics.

    Inputs: the tokenizer's, (rows, tokens) each; output: `logits`, (rows, labels), or (rows, 1) on the task's scale.
    Raises UserError where a package is absent or the two do not agree; the student without ONNX is saved by then.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    ort: Any = needed("onnxruntime")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batches = [
        encode(tokenizer, config, rows[start : start + BATCH])
        for start in range(0, min(ROWS, len(rows)), BATCH)
    ]
    path = folder / "model.onnx"
    write(model, padded(batches[0], tokenizer), path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        theirs, began = list[Any](), time.perf_counter()
        for batch in batches:
            theirs.append(
                model(
                    **{name: torch.from_numpy(column) for name, column in batch.items()}
                ).logits.numpy()
            )
        torch_seconds, ours, began = time.perf_counter() - began, list[Any](), time.perf_counter()
        for batch in batches:
            ours.append(session.run(["logits"], batch)[0])
        onnx_seconds = time.perf_counter() - began
    number = min(ROWS, len(rows))
    found = agreement(theirs, ours, path)
    found |= {
        "onnx/examples_per_second": number / onnx_seconds,
        "onnx/speedup": torch_seconds / onnx_seconds,
    }
    log.info("%s: %s", path, ", ".join(f"{key} {value:.4g}" for key, value in found.items()))
    return found


def check_packages() -> None:
    """Say what is not installed, before hours of training."""
    needed("onnx")
    needed("onnxruntime")


def needed(package: str) -> Any:
    """The package, or how to install it."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f'export=onnx needs the package {package}: pip install -e ".[onnx]"'
        ) from error


def encode(tokenizer: Any, config: TrainConfig, rows: Sequence[Example]) -> dict[str, np.ndarray]:
    """Rows as a padded batch of numpy arrays, as the student saw them in training."""
    columns = [[row.texts[place] for row in rows] for place in range(len(config.task.inputs))]
    columns[0] = [config.student.prefix + text for text in columns[0]]
    options = {
        "padding": True,
        "truncation": True,
        "max_length": config.student.max_length,
        "return_tensors": "np",
    }
    return {name: column.astype("int64") for name, column in tokenizer(*columns, **options).items()}


def padded(batch: dict[str, np.ndarray], tokenizer: Any) -> dict[str, np.ndarray]:
    """The batch with one more column of padding: without any the model takes a way past its mask, which must not be traced."""
    import numpy as np

    pads = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    return {
        name: np.pad(column, ((0, 0), (0, 1)), constant_values=pads.get(name, 0))
        for name, column in batch.items()
    }


def write(model: Any, batch: dict[str, np.ndarray], path: Path) -> None:
    """Trace the model into `path`, whole or not at all, for any number of rows and tokens."""
    import torch

    class Logits(torch.nn.Module):
        """The model as a function of tensors in the order of `batch`: a traced one takes no names."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *columns: torch.Tensor) -> Any:
            return self.model(**dict(zip(batch, columns, strict=True))).logits

    part = path.with_suffix(".part")
    with warnings.catch_warnings():
        # What the tracer takes for constants, rows and tokens of other numbers show to be none: `agreement` sees many.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(),  # else the exporter leaves the model training
            tuple(torch.from_numpy(column) for column in batch.values()),
            str(part),
            input_names=list(batch),
            output_names=["logits"],
            dynamic_axes={name: {0: "rows", 1: "tokens"} for name in batch}
            | {"logits": {0: "rows"}},
            opset_version=17,
            dynamo=False,
        )
    part.replace(path)


def agreement(
    theirs: Sequence[np.ndarray], ours: Sequence[np.ndarray], path: Path
) -> dict[str, float]:
    """How the two agree; UserError where a label differs or a number is far off."""
    import numpy as np

    one, other = np.concatenate(theirs), np.concatenate(ours)
    apart = float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max())))
    same = float((one.argmax(-1) == other.argmax(-1)).mean())
    if same < 1 or apart > TOLERANCE:
        path.unlink()
        raise UserError(
            f"{path} was not kept: it gives other answers than the student (same labels {same:.1%}, furthest apart {apart:.2g})."
        )
    return {"onnx/same_labels": same, "onnx/largest_difference": apart}
