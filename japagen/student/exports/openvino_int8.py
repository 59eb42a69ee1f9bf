"""The student for OpenVINO with weights and activations of 8 bits, calibrated on training rows."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from japagen.config.error import UserError
from japagen.student.exports.source import Source


def write(source: Source, path: Path) -> None:
    """Write the quantised model to `path` and, with the suffix .bin, its weights."""
    if not source.batches:
        raise UserError("there are no training rows to calibrate it on")
    with no_telemetry(), contextlib.redirect_stdout(io.StringIO()):
        import nncf
        import openvino as ov

        # Not nncf.set_log_level: it also changes the handlers of the root logger, which are ours.
        logging.getLogger("nncf").setLevel(logging.ERROR)
        model = ov.Core().read_model(str(source.graph))
        names = {name for one in model.inputs for name in one.names}
        batches = [
            {name: part for name, part in batch.items() if name in names}
            for batch in source.batches
        ]
        quantised = nncf.quantize(
            model,
            nncf.Dataset(batches),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
        )
        ov.save_model(quantised, str(path), compress_to_fp16=False)


@contextlib.contextmanager
def no_telemetry() -> Iterator[None]:
    """Keep NNCF and OpenVINO from reporting their use to Google Analytics, as they do by default.

    Both decide by these variables, when they are imported and at each call.
    """
    ours = {"NNCF_CI": "1", "CI": "true"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
