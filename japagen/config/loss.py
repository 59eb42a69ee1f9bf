"""Options that every choice of the loss group has."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class Loss:
    """The training loss; a choice's own options are the fields of its class (training/losses/).

    `class_weights`: weight rows by the inverse frequency of their label.
    """

    name: str = MISSING
    class_weights: bool = False
