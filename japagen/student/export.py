"""Export a saved student as ONNX: the same labels without torch, verified on test rows."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.student import opening

if TYPE_CHECKING:
    import numpy as np

    from japagen.gold.example import Example

log = logging.getLogger(__name__)

ROWS = 500  # on which the two are compared
BATCH = 32
TOLERANCE = 1e-3  # of a score from 0 to 1: two engines add in different orders


def onnx(folder: Path, student: Student, rows: Sequence[Example]) -> dict[str, float]:
    """Write `folder`/model.onnx, compare it with the saved student on `rows`; return its metrics.

    Inputs: the tokenizer's, (rows, tokens) each. Output: `logits`, (rows, labels), or (rows, 1) on
    the task's scale. Raises UserError if a package is missing or the two do not agree; the student
    without ONNX is saved by then.
    """
    ort: Any = needed("onnxruntime")
    loaded, tokenizer = opening.open_saved(folder, "export=onnx, student")
    model: Any = loaded
    some = rows[:ROWS]
    batches = [
        encode(tokenizer, student, some[start : start + BATCH])
        for start in range(0, len(some), BATCH)
    ]
    path = folder / "model.onnx"
    write(model, with_padding(batches[0], tokenizer), path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    theirs, torch_seconds = timed(lambda batch: torch_logits(model, batch), batches)
    ours, onnx_seconds = timed(lambda batch: session.run(["logits"], batch)[0], batches)
    found = agreement(theirs, ours, path)
    found |= {
        "onnx/examples_per_second": len(some) / onnx_seconds,
        "onnx/speedup": torch_seconds / onnx_seconds,
    }
    log.info("%s: %s", path, ", ".join(f"{key} {value:.4g}" for key, value in found.items()))
    return found


def timed(run: Any, batches: Sequence[dict[str, np.ndarray]]) -> tuple[list[np.ndarray], float]:
    """Return (the outputs of `run` for all batches, seconds)."""
    began = time.perf_counter()
    return [run(batch) for batch in batches], time.perf_counter() - began


def torch_logits(model: Any, batch: dict[str, np.ndarray]) -> Any:
    """Return the logits of a transformers model for a batch."""
    import torch

    with torch.inference_mode():
        inputs = {name: torch.from_numpy(column) for name, column in batch.items()}
        return model(**inputs).logits.numpy()


def check_packages() -> None:
    """Raise UserError for a missing package before hours of training."""
    needed("onnx")
    needed("onnxruntime")


def needed(package: str) -> Any:
    """Return a package; UserError says how to install it."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f'export=onnx needs the package {package}: pip install -e ".[onnx]"'
        ) from error


def encode(tokenizer: Any, student: Student, rows: Sequence[Example]) -> dict[str, np.ndarray]:
    """Return rows as a padded batch of numpy arrays, as the student saw them in training."""
    first, *rest = ([row.texts[place] for row in rows] for place in range(len(rows[0].texts)))
    options = {
        "padding": True,
        "truncation": True,
        "max_length": student.max_length,
        "return_tensors": "np",
    }
    batch = tokenizer([student.prefix + text for text in first], *rest, **options)
    return {name: column.astype("int64") for name, column in batch.items()}


def with_padding(batch: dict[str, np.ndarray], tokenizer: Any) -> dict[str, np.ndarray]:
    """Return the batch with the last token of its first row replaced by padding.

    Without any padding a model skips its mask, and that must not be traced. A further column would
    be one position too many for rows that already fill the model.
    """
    pads = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    found = {name: column.copy() for name, column in batch.items()}
    for name, column in found.items():
        column[0, -1] = pads.get(name, 0)
    return found


def write(model: Any, batch: dict[str, np.ndarray], path: Path) -> None:
    """Trace the model into `path`, completely or not at all, for any number of rows and tokens."""
    import torch

    class Logits(torch.nn.Module):
        """The model as a function of tensors in the order of `batch`: a traced one has no names."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *columns: torch.Tensor) -> Any:
            return self.model(**dict(zip(batch, columns, strict=True))).logits

    part = path.with_suffix(".part")
    with warnings.catch_warnings():
        # The tracer warns about values that it takes for constants; `agreement` compares batches
        # with other numbers of rows and tokens.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(),  # else the exporter leaves the model in training mode
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
    """Return how the two agree; UserError if a label differs or a number is far off."""
    import numpy as np

    one, other = np.concatenate(theirs), np.concatenate(ours)
    apart = float(np.abs(one - other).max() / max(1.0, float(np.abs(one).max())))
    same = float((one.argmax(-1) == other.argmax(-1)).mean())
    if same < 1 or apart > TOLERANCE:
        path.unlink()
        raise UserError(
            f"{path} was not kept: it gives other answers than the student (same labels {same:.1%},"
            f" largest difference {apart:.2g}). Use the student without export=onnx."
        )
    return {"onnx/same_labels": same, "onnx/largest_difference": apart}
