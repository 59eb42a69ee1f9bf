"""The student's weights in 16 bits (bfloat16), for transformers: half the size."""

from __future__ import annotations

from pathlib import Path

from japagen.files import as_usual
from japagen.student import opening
from japagen.student.exports.source import Source


def write(source: Source, path: Path) -> None:
    """Write the weights to `path` and the config beside them."""
    import torch

    model = opening.open_weights(source.student.folder)
    with opening.no_bars():
        model.to(torch.bfloat16).save_pretrained(path.parent)  # type: ignore[arg-type]
    as_usual(path)
