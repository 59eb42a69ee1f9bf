"""The head of a student: its outputs, how it pools, and the layer that gives the logits."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from japagen.config.error import UserError
from japagen.config.schema import Student
from japagen.config.task import Task

# `add_mean_layer` gives the first token the sum of its own vector and MEAN times the mean of all
# tokens; LayerNorm then removes the common scale. At 10 the mean is 10 parts of 11, so the head
# pools practically the mean, and the gradients of the layer stay in the range of the others.
MEAN = 10.0
MEAN_LAYER = "japagen_mean"  # an attribute of that layer


def outputs(task: Task) -> dict[str, Any]:
    """Return what a transformers config says about the outputs for a task."""
    if task.kind == "regression":
        return {"num_labels": 1, "problem_type": "regression"}
    names = dict(enumerate(task.labels))
    numbers = {label: number for number, label in names.items()}
    return {"id2label": names, "label2id": numbers, "problem_type": "single_label_classification"}


def last_layer(model: PreTrainedModel) -> nn.Linear:
    """Return the linear layer that gives the logits, whatever a model family calls it."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == model.config.num_labels
    ][-1]


def set_pooling(config: Any, student: Student) -> None:
    """Set how a head pools if it knows several ways. BERT's knows one; see `add_mean_layer`."""
    if hasattr(config, "classifier_pooling"):
        config.classifier_pooling = student.pooling
    elif config.model_type != "bert":
        raise UserError(
            f"student.pooling={student.pooling}: the head of {config.model_type} models pools in "
            f"one way only, and transformers could not open a head of our own. Leave out "
            f"student.pooling; BERT and ModernBERT models take cls and mean."
        )


def drop_mean_layer(model: PreTrainedModel) -> None:
    """Remove what `add_mean_layer` added, if it did."""
    stack = cast(Any, model).bert.encoder.layer if model.config.model_type == "bert" else [None]
    if getattr(stack[-1], MEAN_LAYER, False):
        del stack[-1]
        model.config.num_hidden_layers -= 1


def add_mean_layer(model: PreTrainedModel) -> set[str]:
    """Add a layer on top of a BERT that puts the mean of all tokens into the first token.

    BERT's head reads only the first token, so it then pools the mean, and plain transformers still
    opens the model. The queries of the layer are 0, so all tokens get the same attention; values
    are passed on unchanged, weighted by MEAN; the feed-forward part adds nothing. All of it is
    trained like the other layers. Returns the names of its random parameters.
    """
    from transformers.models.bert.modeling_bert import BertLayer

    layers = cast(Any, model).bert.encoder.layer
    layer = cast(Any, BertLayer)(model.config, layer_idx=len(layers))
    one, attention = torch.eye(model.config.hidden_size), layer.attention
    with torch.no_grad():
        for module in layer.modules():
            if isinstance(module, nn.Linear) and module is not layer.intermediate.dense:
                module.weight.zero_()
                module.bias.zero_()
        attention.self.key.weight.copy_(one)
        attention.self.value.weight.copy_(one)
        attention.output.dense.weight.copy_(MEAN * one)
        nn.init.normal_(layer.intermediate.dense.weight, std=model.config.initializer_range)
    setattr(layer, MEAN_LAYER, True)
    layers.append(layer)
    model.config.num_hidden_layers += 1
    return {
        name
        for name, weight in model.named_parameters()
        if any(weight is one for one in layer.intermediate.dense.parameters())
    }
