"""One LightningModule; head, loss and metric follow the task's kind."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn
from transformers import PreTrainedModel

from japagen.config.choice import SOURCES
from japagen.config.error import UserError
from japagen.config.schema import Student, TrainConfig
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.gold import metric
from japagen.gold.example import Example
from japagen.student.batch import OURS
from japagen.student.pretrained import last_layer
from japagen.training import layers, loss
from japagen.training.sungen import Reweight

Record = Callable[[dict[str, float], int], None]
CHECK_EVERY = (
    20  # steps between looks at whether the loss is still a number: a look makes a GPU wait
)


def name(config: TrainConfig, rows: Sequence[Example] = ()) -> str:
    """A readable name that differs where anything that changes the student differs; `rows` are those it was trained and chosen on."""
    sources = SOURCES[config.data.name]
    synthetic = "synthetic" in sources
    words = {
        "synthetic": f"{config.llm.name}-{config.prompt.name}-{config.shots}shot-{config.num_per_label}"
    }
    words["gold"] = f"{config.data.shots}gold" if config.data.shots else "gold"
    source = "-".join(words[name] for name in sources)
    groups = [asdict(group) for group in (config.student, config.data, config.loss, config.trainer)]
    task = [config.task.inputs, config.task.labels, config.task.kind, config.task.metric]
    used = [[row.id, row.label, *row.texts] for row in rows]
    text = json.dumps(
        [*groups, task, used, identity.of(config).fingerprint if synthetic else ""],
        sort_keys=True,
        default=str,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{config.task.name}-{config.student.name}-{source}-seed{config.training_seed}-{digest}"


class Module(LightningModule):
    """A student in training. `record` gets the metrics of each validation and the step.

    Scores are trained on as 0 to 1, so that one learning rate and one gradient limit fit every task; `finished` puts the
    task's own scale into the last layer.
    """

    def __init__(
        self, model: PreTrainedModel, config: TrainConfig, weights: Tensor | None, record: Record
    ) -> None:
        super().__init__()
        self.model = (
            model.train()
        )  # from_pretrained leaves it in eval mode, and Lightning leaves it as it is
        self.task, self.options, self.record = config.task, config.student, record
        freeze(model, config.student)
        self._ddp_params_and_buffers_to_ignore = layers.constant(self)
        self.cheap = not config.trainer.compile  # the compiler writes layers of its own
        self.loss = loss.choose(config.loss, config.task.kind)
        self.step = config.loss.step if config.loss.name == "sungen" else 0.0
        self.register_buffer("weights", weights, persistent=False)
        self.low, self.span = scale(config.task)
        if config.task.kind == "regression" and last_layer(model).bias is not None:
            nn.init.constant_(last_layer(model).bias, 0.5)
        self.seen, self.seconds, self.began = 0, 0.0, 0.0
        self.losses: list[Tensor] = []
        self.outputs: list[tuple[Tensor, Tensor]] = []

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits (rows, labels), or scores from 0 to 1 (rows, 1)."""
        inputs = {name: column for name, column in batch.items() if name not in OURS}
        return cast(Tensor, self.model(**inputs).logits)

    def batch_loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean loss of a batch."""
        target = batch["target"]
        target = (target - self.low) / self.span if self.task.kind == "regression" else target
        losses = self.loss(logits, batch.get("probabilities", target))
        return loss.mean(
            losses, batch["target"], cast("Tensor | None", self.weights), batch.get("weight")
        )

    def on_fit_start(self) -> None:
        """The device is known now."""
        if self.cheap and self.device.type == "cpu":
            layers.cheapen(cast(PreTrainedModel, self.model))

    def configure_callbacks(self) -> list[Callback]:
        """What a loss does between epochs."""
        return [Reweight(self.step)] if self.step else []

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Start the clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop the clock."""
        self.seconds += time.perf_counter() - self.began
        self.seen += len(batch["row"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was counted since the last validation."""
        checkpoint["japagen_counts"] = {
            "seen": self.seen,
            "seconds": self.seconds,
            "losses": [float(loss) for loss in self.losses],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count on, with weights that belong to the same tokens."""
        ours, theirs = self.state_dict(), checkpoint["state_dict"]
        rows = [name for name in layers.constant(self) if name in ours]
        if any(
            name not in theirs or ours[name].shape != theirs[name].shape for name in ours
        ) or any(not torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in rows):
            raise UserError(
                "The training that was stopped had another model, tokenizer or version of JapaGen, so it cannot go on. Its checkpoint "
                "is removed now: the same command trains anew."
            )
        if counts := checkpoint.get("japagen_counts"):
            self.seen, self.seconds = counts["seen"], counts["seconds"]
            self.losses = [torch.tensor(loss, device=self.device) for loss in counts["losses"]]

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """One batch."""
        loss = self.batch_loss(self(batch), batch)
        self.losses.append(loss.detach())
        if len(self.losses) % CHECK_EVERY == 0:
            self.check(loss)
        return loss

    def check(self, loss: Tensor) -> None:
        """Stop where the loss is no number: the weights are lost, and a score would be that of chance."""
        if not bool(torch.isfinite(loss)):
            raise UserError(
                f"The loss is {float(loss.detach())} at step {self.global_step}, so training cannot go on. Lower student.learning_rate "
                f"(now {self.options.learning_rate:g}), or take trainer.options.precision=32-true."
            )

    def validation_step(self, batch: dict[str, Tensor], step: int) -> None:
        """Keep the outputs until all are there: the metrics are not means over batches."""
        self.outputs.append((self(batch).float(), batch["target"]))

    def on_validation_epoch_end(self) -> None:
        """Score the valid rows; ModelCheckpoint and EarlyStopping follow `choice`."""
        logits, target = (torch.cat(column) for column in zip(*self.outputs, strict=True))
        self.outputs.clear()
        valid_loss = self.batch_loss(logits, {"target": target})
        self.check(valid_loss)
        task = self.task
        gold = [
            str(value) if task.kind == "regression" else task.labels[value]
            for value in target.tolist()
        ]
        predicted = [str(row["predicted"]) for row in self.read(logits)]
        found = {
            f"valid/{name}": value for name, value in metric.scores(task, gold, predicted).items()
        } | {"valid/loss": float(valid_loss)}
        if self.losses:
            found["train/loss"] = float(torch.stack(self.losses).mean())
            self.losses.clear()
        # Few valid rows give many ties; the checkpoint of lower loss is then the better one.
        self.log("choice", found[f"valid/{task.metric}"] - 1e-4 * found["valid/loss"])
        self.record(found, self.global_step)

    def predict_step(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, Tensor]:
        """(row numbers, logits), in full precision: the score is then that of the saved student, wherever it is opened."""
        with torch.autocast(self.device.type, enabled=False):
            return batch["row"].cpu(), self(batch).float().cpu()

    def configure_optimizers(self) -> Any:
        """AdamW; the learning rate rises linearly over the warm-up, then falls linearly to 0."""
        steps = int(self.trainer.estimated_stepping_batches)
        fused = self.device.type in ("cpu", "cuda") and self.trainer.precision != "16-mixed"
        optimizer = torch.optim.AdamW(
            groups(self.model, self.options), lr=self.options.learning_rate, fused=fused
        )
        # Lightning refuses to clip gradients before a fused step, for the sake of a gradient scaler, which only 16-mixed has.
        optimizer._step_supports_amp_scaling = False
        warmup = max(1, math.ceil(steps * self.options.warmup))
        factor = partial(rate, schedule=self.options.schedule, warmup=warmup, steps=steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def read(self, logits: Tensor) -> list[dict[str, Any]]:
        """What each row of logits says: `predicted`, a label with its `probability`, or a score on the task's scale."""
        if self.task.kind == "regression":
            return [
                {"predicted": self.low + self.span * value} for value in logits.squeeze(-1).tolist()
            ]
        best, number = logits.softmax(-1).max(-1)
        rows = zip(best.tolist(), number.tolist(), strict=True)
        return [
            {"predicted": self.task.labels[label], "probability": round(share, 6)}
            for share, label in rows
        ]

    def speed(self) -> float:
        """Rows trained on per second, without validation."""
        return self.seen / self.seconds if self.seconds else 0.0

    def finished(self) -> PreTrainedModel:
        """The model as it is saved, of no more use for training: a regression's last layer gives the task's own scale."""
        model = cast(PreTrainedModel, self.model)
        layers.restore(model)
        layer = last_layer(model)
        with torch.no_grad():
            layer.weight.mul_(self.span)
            layer.bias.mul_(self.span).add_(self.low)
        return model


def rate(step: int, schedule: str, warmup: int, steps: int) -> float:
    """The share of the learning rate at `step`: up over the warm-up, then along the schedule, to 0 at the end but for constant."""
    if step + 1 < warmup or schedule == "constant":
        return min(1.0, (step + 1) / warmup)
    left = (steps - step) / max(1, steps - warmup)
    return min(1.0, left) if schedule == "linear" else (1 - math.cos(math.pi * min(1.0, left))) / 2


def groups(model: nn.Module, student: Student) -> list[dict[str, Any]]:
    """Groups for the optimizer. Weight decay for matrices alone: it would pull biases and LayerNorm's scales away from their purpose.

    With layer_decay d, a layer that has n layers above it learns at d^(n+1) times the rate of the head, the embeddings as one
    more layer below (Howard and Ruder 2018, section 3.2).
    """
    found: dict[tuple[int, float], list[nn.Parameter]] = {}
    depth = depths(model)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            below = depth[name] if student.layer_decay < 1 else 0
            found.setdefault((below, student.weight_decay if weight.ndim > 1 else 0.0), []).append(
                weight
            )
    return [
        {
            "params": weights,
            "weight_decay": decay,
            "lr": student.learning_rate * student.layer_decay**below,
        }
        for (below, decay), weights in sorted(found.items(), key=lambda item: item[0])
    ]


def freeze(model: nn.Module, student: Student) -> None:
    """Leave the embeddings as they are where that is asked for; before processes that train together agree on what is trained."""
    depth = depths(model)
    for name, weight in model.named_parameters():
        if student.freeze_embeddings and depth[name] == max(depth.values()):
            weight.requires_grad_(False)


def depths(model: nn.Module) -> dict[str, int]:
    """How far below the head each parameter is: the head 0, the last layer 1, the embeddings the most."""
    numbers = {
        name: re.search(r"(?:^|\.)(?:layers?|h)\.(\d+)\.", name)
        for name, _ in model.named_parameters()
    }
    layers = max((int(found[1]) for found in numbers.values() if found), default=-1) + 1
    return {
        name: layers - int(found[1]) if found else (layers + 1 if "embeddings" in name else 0)
        for name, found in numbers.items()
    }


def scale(task: Task) -> tuple[float, float]:
    """(lowest level, distance to the highest) of a regression task; (0, 1) otherwise."""
    if task.kind != "regression":
        return 0.0, 1.0
    levels = [float(label) for label in task.labels]
    return min(levels), max(levels) - min(levels)
