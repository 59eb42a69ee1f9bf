"""The student as ONNX with weights of 8 bits, the embedding too; activations as they come."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

from japagen.student.exports.source import Source


def write(source: Source, path: Path) -> None:
    """Write the graph to `path`, quantised dynamically with a scale for each output channel.

    The graph is not fused first: onnxruntime's quantised attention was no faster on CPUs with and
    without instructions for 8 bits (docs/performance.md).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    logging.getLogger("onnxruntime").setLevel(logging.ERROR)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantiser logs through the root logger
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quant_pre_process(str(source.graph), str(prepared), skip_symbolic_shape=True)
            quantize_dynamic(
                str(prepared), str(path), per_channel=True, weight_type=QuantType.QInt8
            )
    finally:
        root.setLevel(level)
        prepared.unlink(missing_ok=True)
