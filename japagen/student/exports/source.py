"""What exports are made from: the student's graph, traced once, and batches of training rows."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from japagen.student import opening
from japagen.student.predictor import Predictor, padded, tokens

if TYPE_CHECKING:
    import numpy as np

    Batch = dict[str, np.ndarray]

CALIBRATION = 256  # rows on which the ranges of activations are measured
BATCH = 32


class Source:
    """A student to export; the graph is deleted in the end.

    `texts`: its training rows, as the texts of task.inputs.
    """

    def __init__(self, student: Predictor, texts: Sequence[Sequence[str]]) -> None:
        self.student, self.texts = student, texts
        self.temporary = TemporaryDirectory()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.temporary.cleanup()

    @functools.cached_property
    def batches(self) -> list[Batch]:
        """Return an evenly spaced part of the training rows in batches, by length."""
        step = max(1, len(self.texts) // CALIBRATION)
        columns = self.columns(self.texts[::step][:CALIBRATION])
        lengths = [len(ids) for ids in columns["input_ids"]]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        return [
            padded(columns, order[start : start + BATCH], self.student.tokenizer)
            for start in range(0, len(order), BATCH)
        ]

    @functools.cached_property
    def graph(self) -> Path:
        """Return a file with the traced model in 32 bits, for any number of rows and tokens."""
        path = Path(self.temporary.name) / "model.onnx"
        # Attention as single operations: optimisers recognise that pattern and fuse it again.
        with opening.no_bars():
            model, _ = opening.open_model(
                self.student.folder, local_files_only=True, attn_implementation="eager"
            )
        columns = self.columns(self.texts[:2] or [["犬"] * len(self.student.task.inputs)])
        batch = padded(columns, range(len(columns["input_ids"])), self.student.tokenizer)
        trace(model, with_padding(batch, self.student.tokenizer), path)
        return path

    def columns(self, texts: Sequence[Sequence[str]]) -> Any:
        """Return the model's inputs for texts, a list of numbers for each."""
        student = self.student
        return tokens(student.tokenizer, texts, student.prefix, student.max_length)


def with_padding(batch: Batch, tokenizer: Any) -> Batch:
    """Return the batch with the last token of its first row replaced by padding.

    Without any padding a model skips its mask, and that must not be traced. A further column would
    be one position too many for rows that already fill the model.
    """
    pads = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    found = {name: column.copy() for name, column in batch.items()}
    for name, column in found.items():
        column[0, -1] = pads.get(name, 0)
    return found


def trace(model: Any, batch: Batch, path: Path) -> None:
    """Write the model as a graph with the inputs of `batch` and the output `logits`."""
    import torch

    class Logits(torch.nn.Module):
        """The model as a function of tensors in the order of `batch`: a traced one has no names."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *columns: torch.Tensor) -> Any:
            return self.model(**dict(zip(batch, columns, strict=True))).logits

    with warnings.catch_warnings():
        # The tracer warns about values that it takes for constants; every export is compared with
        # the student on batches with other numbers of rows and tokens.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits().eval(),  # else the exporter leaves the model in training mode
            tuple(torch.from_numpy(column) for column in batch.values()),
            str(path),
            input_names=list(batch),
            output_names=["logits"],
            dynamic_axes={name: {0: "rows", 1: "tokens"} for name in batch}
            | {"logits": {0: "rows"}},
            opset_version=17,
            dynamo=False,
        )
