"""A student with fewer layers than its pretrained encoder."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from japagen.config.error import UserError
from japagen.config.schema import Student


def keep(model: PreTrainedModel, student: Student) -> None:
    """Keep the lowest `student.layers` layers of the encoder.

    Of several ways to drop layers, dropping the top ones keeps most of the score (Sajjad et al.
    2023, "On the effect of dropping layers of pre-trained transformer models").
    Raises UserError if the encoder has fewer layers, or is built in another way.
    """
    config: Any = model.config
    number = int(getattr(config, "num_hidden_layers", 0))
    kept = student.layers or number
    if kept > number:
        raise UserError(
            f"student.layers is {kept}; {student.pretrained} has {number}: type student.layers=N "
            f"with N from 1 to {number}"
        )
    stacks = [part for part in encoder(model).modules() if is_stack(part, number)]
    if len(stacks) != 1:
        raise UserError(
            f"student.layers={kept}: the layers of a {config.model_type} model are not known; "
            f"leave out student.layers"
        )
    stack: Any = stacks[0]
    del stack[kept:]
    config.num_hidden_layers = kept
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:kept]


def encoder(model: PreTrainedModel) -> nn.Module:
    """Return the part of a model below its head."""
    found: nn.Module = getattr(model, model.base_model_prefix, model)
    return found


def is_stack(part: nn.Module, number: int) -> bool:
    """Return whether `part` is the list of an encoder's layers: so many, and of one kind."""
    return (
        isinstance(part, nn.ModuleList)
        and len(part) == number
        and len({type(layer) for layer in part}) == 1
        and any(True for _ in part[0].parameters())
    )
