"""The engines that run a saved student: torch, and each kind of file that `export=` writes.

To add one: a class with `logits`, and an entry in BACKENDS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from japagen.config.choice import EXPORTS
from japagen.config.error import UserError, did_you_mean
from japagen.student import opening

if TYPE_CHECKING:
    import numpy as np

    Batch = Mapping[str, np.ndarray]

AUTO = "auto"
TORCH = ("torch", "torch_gpu", "bfloat16")  # these need torch and transformers


class Backend(Protocol):
    """A student's network, opened."""

    def logits(self, batch: Batch) -> np.ndarray:
        """Return (rows, labels) in 32 bits, or (rows, 1); each input is (rows, tokens), int64."""


class Torch:
    """The weights with transformers, in 32 bits or in those of `dtype`; on a GPU if asked."""

    def __init__(
        self, folder: Path, threads: int, option: str, dtype: str = "", device: str = "cpu"
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        model: Any = opening.open_weights(folder, option)
        self.model = model.to(device, getattr(torch, dtype or "float32"))
        self.device = device

    def logits(self, batch: Batch) -> np.ndarray:
        """Return the logits of a batch."""
        import torch

        with torch.inference_mode():
            inputs = {name: torch.from_numpy(part).to(self.device) for name, part in batch.items()}
            found: np.ndarray = self.model(**inputs).logits.float().cpu().numpy()
        return found


class Onnx:
    """A file for onnxruntime."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        ort: Any = onnxruntime
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # it warns about what its optimiser leaves unused
        with opening.one_message(lambda error: damaged(path, error)):
            self.session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        self.names = [one.name for one in self.session.get_inputs()]

    def logits(self, batch: Batch) -> np.ndarray:
        """Return the logits of a batch."""
        given = {name: batch[name] for name in self.names}
        found: np.ndarray = self.session.run(["logits"], given)[0]
        return found


class OpenVino:
    """A file for OpenVINO."""

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        ov: Any = openvino
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        with opening.one_message(lambda error: damaged(path, error)):
            self.model = ov.Core().compile_model(str(path), "CPU", options)
        self.names = [name for one in self.model.inputs for name in one.names]

    def logits(self, batch: Batch) -> np.ndarray:
        """Return the logits of a batch."""
        found: np.ndarray = self.model({name: batch[name] for name in self.names})[0].copy()
        return found  # a copy: the next request overwrites the model's own


@dataclass(frozen=True)
class Kind:
    """How a backend is opened, its file in the student's folder, and the package that runs it.

    `opened`: from the student's folder, the threads, and what the user typed to name the folder.
    """

    opened: Callable[[Path, int, str], Backend]
    file: str
    package: str = "torch"


def onnx(file: str) -> Kind:
    """Return a kind of backend that runs `file` with onnxruntime."""
    return Kind(lambda folder, threads, _: Onnx(folder / file, threads), file, "onnxruntime")


def openvino(file: str) -> Kind:
    """Return a kind of backend that runs `file` with OpenVINO."""
    return Kind(lambda folder, threads, _: OpenVino(folder / file, threads), file, "openvino")


def torch_gpu(folder: Path, threads: int, option: str) -> Backend:
    """Return the student on the GPU."""
    return Torch(folder, threads, option, device="cuda")


def bfloat16(folder: Path, threads: int, option: str) -> Backend:
    """Return the student in 16 bits."""
    return Torch(folder / "bfloat16", threads, option, "bfloat16")


BACKENDS = {
    "torch": Kind(Torch, "config.json"),
    "torch_gpu": Kind(torch_gpu, "config.json"),
    "bfloat16": Kind(bfloat16, "bfloat16/model.safetensors"),
    "onnx": onnx("onnx/model.onnx"),
    "onnx_int8": onnx("onnx/model_int8.onnx"),
    "openvino_int8": openvino("openvino/model_int8.xml"),
}


def available(folder: Path) -> list[str]:
    """Return the backends that this student has files for and this machine can run."""
    return [name for name in BACKENDS if usable(folder, name)]


def usable(folder: Path, name: str) -> bool:
    """Return whether a student has the file of a backend, and this machine what it runs on."""
    kind = BACKENDS[name]
    there = (folder / kind.file).is_file() and find_spec(kind.package) is not None
    return there and (name != "torch_gpu" or has_gpu())


def open_backend(
    folder: Path, name: str, option: str = "student", threads: int | None = None
) -> Backend:
    """Open the student in `folder` with the backend `name`; `option`: what names the folder.

    `threads`: default, the cores that this process may use. Raises UserError for an unknown name,
    a file that was not exported, a missing package or a damaged file.
    """
    check(folder, name)
    return BACKENDS[name].opened(folder, threads or cores(), option)


def check(folder: Path, name: str) -> None:
    """Raise UserError unless `name` is a backend that the student in `folder` has here."""
    if name not in BACKENDS:
        names = [AUTO, *BACKENDS]
        raise UserError(
            f"backend is '{name}'; allowed: {', '.join(names)}{did_you_mean(name, names)}"
        )
    if name != "torch" and not usable(folder, name):
        raise UserError(
            f"backend={name}: {why_not(folder, name)}. "
            f"Here can be used: {', '.join(available(folder)) or 'none'}"
        )


def why_not(folder: Path, name: str) -> str:
    """Return why a backend is not usable, and what to do."""
    kind = BACKENDS[name]
    if not (folder / kind.file).is_file():
        how = f"; train.py export={name} writes it" if name in EXPORTS else ""
        return f"the student {folder} has no {kind.file}{how}"
    if find_spec(kind.package) is None:
        return f'the package {kind.package} is not installed: pip install "japagen[{extra(name)}]"'
    return "no GPU was found"


def extra(name: str) -> str:
    """Return the extra of JapaGen that installs what a backend needs."""
    return "openvino" if name.startswith("openvino") else "onnx"


def fastest(folder: Path, measured: Mapping[str, Mapping[str, float]]) -> str:
    """Return the backend for backend=auto: on a GPU torch, else the fastest exported one, or torch.

    `measured`: of each export what was measured when it was written (japagen.json).
    """
    if usable(folder, "torch_gpu"):
        return "torch_gpu"
    speeds = {
        name: found.get("speedup", 0.0)
        for name, found in measured.items()
        if name in BACKENDS and usable(folder, name)
    }
    best = max(speeds, key=speeds.__getitem__, default="torch")
    return best if speeds.get(best, 0.0) > 1 else "torch"


def cores() -> int:
    """Return how many threads a backend uses: OMP_NUM_THREADS, or the cores that are allowed."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit):
        return int(limit)
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def has_gpu() -> bool:
    """Return whether torch sees a GPU; torch is only imported where there may be one."""
    devices = ("nvidia0", "nvidiactl", "kfd", "dxg")  # NVIDIA, AMD, Windows' subsystem for Linux
    if sys.platform == "linux" and not any(Path("/dev", name).exists() for name in devices):
        return False
    import torch

    return torch.cuda.is_available()


def needed(package: str, extra: str) -> Any:
    """Return a package; UserError says how to install it."""
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"{extra} needs the package {package}, which is not installed: "
            f'pip install "japagen[{extra}]"'
        ) from error


def damaged(path: Path, error: Exception) -> str:
    """Return what is wrong with a file that cannot be opened."""
    return f"{path} cannot be opened; export it again: {opening.reason(error)}"
