"""AdamW, its learning rates by layer, and their schedule."""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import nn

from japagen.config.schema import Student

# Names of transformers.get_scheduler for ours: all of them have a warm-up.
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def make(model: nn.Module, student: Student, steps: int, fused: bool) -> dict[str, Any]:
    """Return optimizer and schedule as Lightning wants them, for a training of `steps` steps.

    `fused`: update all parameters in one call, where the device can.
    """
    optimizer = torch.optim.AdamW(groups(model, student), lr=student.learning_rate, fused=fused)
    # Lightning refuses to clip gradients before a fused step because of the gradient scaler of
    # 16-mixed, which is not used with it here.
    optimizer._step_supports_amp_scaling = False
    scheduler = schedule(optimizer, student, steps)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def schedule(optimizer: torch.optim.Optimizer, student: Student, steps: int) -> Any:
    """Return the schedule: the learning rate rises over the warm-up, then follows `schedule`."""
    from transformers import get_scheduler

    warmup = math.ceil(steps * student.warmup)
    return get_scheduler(SCHEDULES[student.schedule], optimizer, warmup, steps)


def groups(model: nn.Module, student: Student) -> list[dict[str, Any]]:
    """Return the parameter groups of the optimizer.

    Only matrices get weight decay: biases and the scales of LayerNorm must not be pulled to 0. With
    layer_decay d, a layer with n layers above it learns at d^(n+1) times the rate of the head; the
    embeddings count as one more layer below (Howard and Ruder 2018, section 3.2).
    """
    found: dict[tuple[int, float], list[nn.Parameter]] = {}
    depth = depths(model)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            below = depth[name] if student.layer_decay < 1 else 0
            decay = student.weight_decay if weight.ndim > 1 else 0.0
            found.setdefault((below, decay), []).append(weight)
    return [
        {
            "params": weights,
            "weight_decay": decay,
            "lr": student.learning_rate * student.layer_decay**below,
        }
        for (below, decay), weights in sorted(found.items(), key=lambda item: item[0])
    ]


def freeze(model: nn.Module, student: Student) -> None:
    """Exclude the embeddings from training if student.freeze_embeddings says so.

    Must be called before processes that train together agree on what is trained.
    """
    depth = depths(model)
    for name, weight in model.named_parameters():
        if student.freeze_embeddings and depth[name] == max(depth.values()):
            weight.requires_grad_(False)


def depths(model: nn.Module) -> dict[str, int]:
    """Return how far below the head each parameter is.

    The head is 0, the last layer 1, the embeddings have the highest number.
    """
    numbers = {
        name: re.search(r"(?:^|\.)(?:layers?|h)\.(\d+)\.", name)
        for name, _ in model.named_parameters()
    }
    layers = max((int(found[1]) for found in numbers.values() if found), default=-1) + 1
    return {
        name: layers - int(found[1]) if found else (layers + 1 if "embeddings" in name else 0)
        for name, found in numbers.items()
    }
