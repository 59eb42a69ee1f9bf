"""Options of the student group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from omegaconf import MISSING

from japagen.config.choice import PAIRS, POOLINGS, SCHEDULES
from japagen.config.error import did_you_mean
from japagen.config.limit import limited


@dataclass
class FewRows:
    """How a classifier is trained on at most `rows` rows (0: like on more).

    Its head is fitted to the encoder's vectors before the first step, fine-tuning is short and
    gentle, and the last weights are kept: a few valid rows cannot choose a checkpoint.
    `rate`: the learning rate is this times student.learning_rate. At most `max_epochs` epochs,
    but at least `min_steps` steps; trainer.max_epochs and trainer.min_steps still limit both.
    `labels`: trained on gold rows alone, a classifier with n labels, n above this number, has
    n / `labels` times the `rate` (1 at most) and `min_steps`. On synthetic rows this lowered the
    score (docs/performance.md).
    `pairs`: replaces student.pairs, unless null. With bi_encoder, a regression on pairs is trained
    in this way, too.
    """

    rows: int = limited(0, least=0)
    rate: float = limited(0.2, above=0)
    max_epochs: int = limited(3, least=1)
    min_steps: int = limited(60, least=0)
    labels: int = limited(3, least=1)
    pairs: str | None = None


@dataclass
class Student:
    """A compact encoder. `pretrained`: a hub id, a folder, `embedded:NAME` or `random:NAME`.

    `trim`: keep only the part of a multilingual vocabulary that Japanese text may need; such text
    is tokenised as before. `corpus_vocabulary`: keep only the tokens of the training rows and
    single characters; other texts may then have more tokens. `layers`: how many layers of the
    encoder are kept, from the bottom; null keeps all. `pooling`: cls or mean, for the families
    whose own head supports both; null keeps the model's own. `layer_decay`: the learning rate of
    each layer is this times that of the layer above. `schedule` after the warm-up: linear, cosine
    or constant. `pairs`: how the two texts of a pair are encoded. cross_encoder: together, as one
    text. bi_encoder: separately; the head compares the means of their tokens, and sees how many
    tokens both have (japagen/student/pair.py).
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
    corpus_vocabulary: bool = False
    layers: int | None = limited(None, least=1)
    pooling: str | None = None
    pairs: str = "cross_encoder"
    few_rows: FewRows = field(default_factory=FewRows)

    def problems(self) -> Iterator[str]:
        """Unknown values of `schedule`, `pooling` and `pairs`."""
        for key, value, allowed in (
            ("schedule", self.schedule, SCHEDULES),
            ("pooling", self.pooling, POOLINGS),
            ("pairs", self.pairs, PAIRS),
            ("few_rows.pairs", self.few_rows.pairs, PAIRS),
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
