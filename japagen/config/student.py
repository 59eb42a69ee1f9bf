"""Options of the student group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from omegaconf import MISSING

from japagen.config.choice import POOLINGS, SCHEDULES
from japagen.config.error import did_you_mean
from japagen.config.limit import limited


@dataclass
class Student:
    """A compact encoder. `pretrained`: a hub id, a folder, `embedded:NAME` or `random:NAME`.

    `trim`: keep only the part of a multilingual vocabulary that Japanese text may need; such text
    is tokenised as before. `pooling`: cls or mean, for the families whose own head supports both;
    null keeps the model's own. `layer_decay`: the learning rate of each layer is this times the
    rate of the layer above. `schedule` after the warm-up: linear, cosine or constant.
    """

    name: str = MISSING
    pretrained: str = MISSING
    max_length: int = limited(128, least=8, most=100_000)
    prefix: str = ""
    learning_rate: float = limited(5e-5, above=0)
    weight_decay: float = limited(0.01, least=0)
    warmup: float = limited(0.1, least=0, below=1)
    schedule: str = "linear"
    layer_decay: float = limited(1.0, above=0, most=1)
    freeze_embeddings: bool = False
    dropout: float | None = limited(None, least=0, below=1)
    trim: bool = False
    pooling: str | None = None

    def problems(self) -> Iterator[str]:
        """Unknown values of `schedule` and `pooling`."""
        for key, value, allowed in (
            ("schedule", self.schedule, SCHEDULES),
            ("pooling", self.pooling, POOLINGS),
        ):
            if value is not None and value not in allowed:
                yield (
                    f"student.{key} is '{value}'; allowed: {', '.join(allowed)}"
                    f"{did_you_mean(value, allowed)}"
                )


@dataclass
class Saved:
    """A saved student: its folder, or the id of the MLflow run that trained it."""

    path: str | None = None
    batch_size: int = limited(32, least=1)
