"""The student as ONNX with weights of 8 bits, the embedding too; activations as they come."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.student.exports.source import Source

if TYPE_CHECKING:
    import numpy as np

LAYER = re.compile(r"layers?\.(\d+)/")  # in the names of a graph's nodes
EMBEDDING = 1000  # rows from which on a table is a word embedding, not one of positions or types


def write(source: Source, path: Path) -> None:
    """Write the graph to `path`, quantised dynamically with a scale for each output channel.

    The last layer and the head stay in 32 bits: their rounding errors reach the answer undamped,
    and they are a small part of the work. The graph is not fused first: onnxruntime's quantised
    attention is slower than its quantised matrix products (docs/performance.md).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    with quiet():
        quant_pre_process(str(source.graph), str(prepared), skip_symbolic_shape=True)
        model = onnx.load(str(prepared))
        quantise_embedding(model.graph)
        onnx.save(model, str(prepared))
        quantize_dynamic(
            str(prepared),
            str(path),
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
            nodes_to_exclude=near_the_answer([node.name for node in model.graph.node]),
        )
    prepared.unlink()


def near_the_answer(names: list[str]) -> list[str]:
    """Return the nodes of the last layer and of the head; none if no node names its layer."""
    layers = [int(found.group(1)) if (found := LAYER.search(name)) else -1 for name in names]
    last = max(layers, default=-1)
    if last < 0:
        return []
    if last == 0:  # the only layer is the work: only the head keeps its bits
        return names[len(layers) - layers[::-1].index(0) :]
    return names[layers.index(last) :]


def quantise_embedding(graph: Any) -> None:
    """Give each row of the word embedding 8 bits and a scale of its own.

    onnxruntime's quantiser has one scale for the whole table: rare tokens with long vectors would
    leave few of the 8 bits to the others.
    """
    from onnx import TensorProto, helper, numpy_helper

    tables = {one.name: one for one in graph.initializer}
    for node in list(graph.node):
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < EMBEDDING:
            continue
        bits, scales = by_row(numpy_helper.to_array(table))
        name, (ids, out) = table.name, (node.input[1], node.output[0])
        graph.initializer.remove(table)
        graph.initializer.append(numpy_helper.from_array(bits, f"{name}_bits"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scales"))
        steps = [
            helper.make_node("Gather", [f"{name}_bits", ids], [f"{out}_bits"], f"{name}_gather"),
            helper.make_node(
                "Cast", [f"{out}_bits"], [f"{out}_cast"], f"{name}_cast", to=TensorProto.FLOAT
            ),
            helper.make_node("Gather", [f"{name}_scales", ids], [f"{out}_scales"], f"{name}_scale"),
            helper.make_node("Mul", [f"{out}_cast", f"{out}_scales"], [out], f"{name}_mul"),
        ]
        place = list(graph.node).index(node)
        graph.node.remove(node)
        for step in reversed(steps):
            graph.node.insert(place, step)


def by_row(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (table as int8, scales (rows, 1)): their product is the table up to rounding."""
    import numpy as np

    scales = np.maximum(np.abs(table).max(1, keepdims=True), 1e-12) / 127
    return np.round(table / scales).astype(np.int8), scales.astype(np.float32)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what the quantiser logs, through the root logger, and warns about."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
