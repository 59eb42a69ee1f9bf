"""Options of the trainer group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from japagen.config.limit import limited


@dataclass
class Trainer:
    """How long to train. `patience`: validations without a better score; 0 for no early stopping.

    With few rows, training runs for more than max_epochs until min_steps are done. With many rows,
    it stops after about max_steps in whole epochs, at least one (0: no limit). `save_steps`: steps
    between the checkpoints from which a killed training resumes; it also resumes from the end of
    an epoch. `compile`: use torch.compile. `options` are passed to lightning.Trainer unchanged;
    `precision: auto` is bfloat16 where the device is fast at it.
    """

    name: str = MISSING
    max_epochs: int = limited(10, least=1)
    min_steps: int = limited(0, least=0)
    max_steps: int = limited(0, least=0)
    patience: int = limited(3, least=0)
    save_steps: int = limited(500, least=1)
    compile: bool = False
    options: dict[str, Any] = field(default_factory=dict)
