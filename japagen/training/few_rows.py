"""Training on few rows: a head fitted first, gentle fine-tuning, the last weights kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import Tensor, nn

from japagen.config.student import Student
from japagen.config.task import Task
from japagen.student.head import last_layer
from japagen.training.identity import Training

log = logging.getLogger(__name__)

# The inverse strength of the L2 penalty, for vectors of mean squared length 1 around their mean.
# Little regularisation (10) fits the wrong labels of noisy rows; development rows favour 0.1 to 1.
C = 0.3
ALPHA = 1.0  # the strength of the penalty of a ridge regression of scores, on the same vectors
# Width of the pooled vectors in the nearly linear range of tanh, in root mean squares.
SPREAD = 0.5


def applies(rows: int, student: Student, task: Task) -> bool:
    """Whether a student is trained on `rows` rows in this way."""
    few = student.few_rows
    compared = len(task.inputs) > 1 and (few.pairs or student.pairs) == "bi_encoder"
    return rows <= few.rows and (task.kind == "classification" or compared)


def growth(training: Training) -> float:
    """Return the factor of learning rate and steps for many labels, at least 1 (FewRows.labels)."""
    if training.synthetic or training.task.kind != "classification":
        return 1.0
    return max(1.0, len(training.task.labels) / training.student.few_rows.labels)


def adapted(training: Training) -> Training:
    """Return the same training with a lower learning rate, fewer steps and no early stop."""
    few, student, trainer = training.student.few_rows, training.student, training.trainer
    times = growth(training)
    rate = min(times * few.rate, max(1.0, few.rate)) * student.learning_rate
    steps = min(trainer.min_steps, round(times * few.min_steps))
    log.info("few rows (student.few_rows): learning rate %g, at least %d steps", rate, steps)
    return replace(
        training,
        student=replace(
            student,
            learning_rate=rate,
            pairs=few.pairs or student.pairs,
        ),
        trainer=replace(
            trainer,
            max_epochs=min(trainer.max_epochs, few.max_epochs),
            min_steps=steps,
            patience=0,
        ),
    )


class FittedHead(Callback):
    """Fit the head to the pretrained encoder's vectors of the training rows, before the first step.

    A logistic regression on frozen vectors depends on the rows alone, not on the seed. Fine-tuning
    from it changes the encoder less than from a random head (Kumar et al. 2022, "Fine-Tuning can
    Distort Pretrained Features and Underperform Out-of-Distribution").
    """

    def on_fit_start(self, trainer: LightningTrainer, pl_module: LightningModule) -> None:
        """Fit, unless the training resumes from a checkpoint, whose weights are loaded already."""
        if trainer.ckpt_path is None:
            module, table = cast(Any, pl_module), cast(Any, trainer).datamodule.tables["train"]
            fit(module, [table[rows] for rows in table.in_order(32)])


def fit(module: Any, batches: Iterable[Mapping[str, Tensor]]) -> None:
    """Start the head of `module`, a training.module.Module, as fitted to the rows."""
    batches = [{key: value.to(module.device) for key, value in row.items()} for row in batches]
    target = torch.cat([batch["target"] for batch in batches]).cpu()
    pooler = mean_pooler(module.model, module.student.pooling)
    if pooler is not None:
        pass_on(pooler, inputs(module, pooler, batches))
    layer = last_layer(module.model)
    found = inputs(module, layer, batches)
    if module.task.kind == "regression":
        weight, bias = ridge(found, (target - module.low) / module.span)
    else:
        weight, bias = logistic(found, target, layer.out_features)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def mean_pooler(model: nn.Module, pooling: str | None) -> nn.Linear | None:
    """The random layer between the mean of all tokens and the head of a BERT, or None."""
    pooler = getattr(getattr(model, "bert", None), "pooler", None)
    return cast(nn.Linear, pooler.dense) if pooling == "mean" and pooler is not None else None


def pass_on(layer: nn.Linear, vectors: Tensor) -> None:
    """Let a square layer pass its inputs on, centred and scaled: random weights would mix them."""
    mean = vectors.mean(0)
    scale = SPREAD / (vectors - mean).square().mean().sqrt().clamp(min=1e-6)
    with torch.no_grad():
        layer.weight.copy_(scale * torch.eye(len(mean)))
        layer.bias.copy_(-scale * mean)


def inputs(module: Any, layer: nn.Module, batches: Iterable[Mapping[str, Tensor]]) -> Tensor:
    """The vectors (rows, width) that `layer` gets for the batches' rows, without dropout."""
    found: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, args: found.append(args[0].float().cpu()))
    was = module.training
    module.eval()
    # A compiled model would keep the hook.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        for batch in batches:
            module(batch)
    module.train(was)
    hook.remove()
    return torch.cat(found)


def ridge(vectors: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (1, width) and bias (1) of a ridge regression of scores (rows)."""
    from sklearn.linear_model import Ridge

    mean, scale = spread(vectors)
    fitted = Ridge(alpha=ALPHA)
    fitted.fit(((vectors - mean) / scale).double().numpy(), target.double().numpy())
    weight, bias = torch.tensor(fitted.coef_[None]).float(), torch.tensor([fitted.intercept_])
    return weight / scale, bias.float() - (weight / scale) @ mean


def spread(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (width) of vectors (rows, width), and their root mean square distance from it."""
    mean = vectors.mean(0)
    return mean, (vectors - mean).square().sum(1).mean().sqrt().clamp(min=1e-6)


def logistic(vectors: Tensor, target: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Weight (labels, width) and bias (labels) of a logistic regression.

    Every label counts the same, however many rows it has.
    """
    from sklearn.linear_model import LogisticRegression

    mean, scale = spread(vectors)
    fitted = LogisticRegression(C=C, class_weight="balanced", max_iter=1000)
    fitted.fit(((vectors - mean) / scale).double().numpy(), target.numpy())
    weight, bias = torch.tensor(fitted.coef_).float(), torch.tensor(fitted.intercept_).float()
    if labels == 2:  # one row of weights stands for the difference of both
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight / scale, bias - (weight / scale) @ mean
