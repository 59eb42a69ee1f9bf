"""The student as ONNX in 32 bits, with attention fused into one operation where that is known."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from japagen.student.exports.source import Source

log = logging.getLogger(__name__)


def write(source: Source, path: Path) -> None:
    """Write the graph to `path`."""
    try:
        fused(source).save_model_to_file(str(path))
    except Exception as error:  # of an optimiser that does not know this architecture
        log.info("export=onnx: the graph is not fused (%s)", type(error).__name__)
        path.write_bytes(source.graph.read_bytes())


def fused(source: Source) -> Any:
    """Return the graph with attention, normalisation and activation as one operation each."""
    from onnxruntime.transformers import optimizer

    quiet()
    heads, width = shape(source)
    return optimizer.optimize_model(
        str(source.graph), model_type="bert", num_heads=heads, hidden_size=width, opt_level=0
    )


def shape(source: Source) -> tuple[int, int]:
    """Return the number of attention heads and the width; (0, 0) lets the optimiser find out."""
    from japagen.student import opening

    config = opening.open_config(source.student.folder, local_files_only=True)
    heads, width = (getattr(config, key, 0) for key in ("num_attention_heads", "hidden_size"))
    return int(heads), int(width)


def quiet() -> None:
    """Drop the optimiser's lines on what it fused."""
    for name in ("onnxruntime", "fusion_base", "onnx_model", "onnx_model_bert"):
        logging.getLogger(name).setLevel(logging.ERROR)
