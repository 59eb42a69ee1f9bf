"""The LightningModule: a student in training, its loss, validation metric and predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn
from transformers import PreTrainedModel

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.gold import metric
from japagen.student import predict
from japagen.student.batch import OURS
from japagen.student.head import last_layer
from japagen.training import embedding, optimizer
from japagen.training.identity import Training
from japagen.training.weighting import weighted_mean

Record = Callable[[dict[str, float], int], None]
CHECK_EVERY = 20  # steps between checks that the loss is a number: each check makes a GPU wait


class Module(LightningModule):
    """A student in training. `record` gets the metrics of each validation, and the step.

    `weights`: one for each label, or None. Scores are trained on as 0 to 1, so that one learning
    rate and one gradient limit fit every task; `finished` restores the scale of the task.
    """

    def __init__(
        self, model: PreTrainedModel, training: Training, weights: Tensor | None, record: Record
    ) -> None:
        super().__init__()
        # from_pretrained leaves a model in evaluation mode, and Lightning does not change that.
        self.model = model.train()
        self.task, self.student, self.record = training.task, training.student, record
        optimizer.freeze(model, training.student)
        self._ddp_params_and_buffers_to_ignore = embedding.constant(self)
        self.loss = training.loss
        self.register_buffer("weights", weights, persistent=False)
        self.low, self.span = scale(training.task)
        if training.task.kind == "regression" and last_layer(model).bias is not None:
            nn.init.constant_(last_layer(model).bias, 0.5)
        self.seen, self.seconds, self.began = 0, 0.0, 0.0
        self.losses: list[Tensor] = []
        self.outputs: list[tuple[Tensor, Tensor]] = []
        # (what the checkpoint is chosen by, the task's metric on validation rows), of the best one.
        self.best = (float("-inf"), float("nan"))
        self.keeps_last = False  # the last weights are kept, not the best: `best` is then the last

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return logits (rows, labels), or scores from 0 to 1 (rows, 1)."""
        inputs = {name: column for name, column in batch.items() if name not in OURS}
        return cast(Tensor, self.model(**inputs).logits)

    def batch_loss(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean loss of a batch."""
        target = batch["target"]
        target = (target - self.low) / self.span if self.task.kind == "regression" else target
        losses = self.loss(logits, batch.get("probabilities", target))
        labels = cast("Tensor | None", self.weights)
        return weighted_mean(losses, batch["target"], labels, batch.get("weight"))

    def configure_callbacks(self) -> list[Callback]:
        """Return what the loss does between epochs."""
        return self.loss.callbacks()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Start the clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop the clock."""
        self.seconds += time.perf_counter() - self.began
        self.seen += len(batch["row"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was counted since the last validation, and the best validation score."""
        checkpoint["japagen_counts"] = {
            "seen": self.seen,
            "seconds": self.seconds,
            "losses": [float(loss) for loss in self.losses],
            "best": list(self.best),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the counts; UserError if the weights are of another model or vocabulary."""
        ours, theirs = self.state_dict(), checkpoint["state_dict"]
        rows = [name for name in embedding.constant(self) if name in ours]
        if any(
            name not in theirs or ours[name].shape != theirs[name].shape for name in ours
        ) or any(not torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in rows):
            raise UserError(
                "The training that was stopped had another model, tokenizer or version of JapaGen, "
                "so it cannot be resumed. Its checkpoint is removed now: type the same command "
                "again to train from the start."
            )
        if counts := checkpoint.get("japagen_counts"):
            self.seen, self.seconds = counts["seen"], counts["seconds"]
            self.losses = [torch.tensor(loss, device=self.device) for loss in counts["losses"]]
            choice, score = counts.get("best", self.best)
            self.best = (choice, score)

    def training_step(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Return the loss of one batch."""
        loss = self.batch_loss(self(batch), batch)
        self.losses.append(loss.detach())
        if len(self.losses) % CHECK_EVERY == 0:
            self.check(loss)
        return loss

    def check(self, loss: Tensor) -> None:
        """Raise UserError if the loss is not a number: the weights are then useless."""
        if not bool(torch.isfinite(loss)):
            raise UserError(
                f"The loss is {float(loss.detach())} at step {self.global_step}, so training "
                f"cannot continue. Lower student.learning_rate (now "
                f"{self.student.learning_rate:g}), or use trainer.options.precision=32-true."
            )

    def validation_step(self, batch: dict[str, Tensor], step: int) -> None:
        """Keep the outputs until all rows are done: the metrics are not means over batches."""
        self.outputs.append((self(batch).float(), batch["target"]))

    def on_validation_epoch_end(self) -> None:
        """Score the validation rows; ModelCheckpoint and EarlyStopping follow `choice`."""
        logits, target = (torch.cat(column) for column in zip(*self.outputs, strict=True))
        self.outputs.clear()
        valid_loss = self.batch_loss(logits, {"target": target})
        self.check(valid_loss)
        found = {f"valid/{name}": value for name, value in self.scores(logits, target).items()}
        found["valid/loss"] = float(valid_loss)
        if self.losses:
            found["train/loss"] = float(torch.stack(self.losses).mean())
            self.losses.clear()
        # Few validation rows give many ties; the checkpoint with the lower loss is then better.
        score = found[f"valid/{self.task.metric}"]
        choice = score - 1e-4 * found["valid/loss"]
        self.log("choice", choice)
        self.best = (choice, score) if self.keeps_last else max(self.best, (choice, score))
        self.record(found, self.global_step)

    def scores(self, logits: Tensor, target: Tensor) -> dict[str, float]:
        """Return the metrics of the task for logits and targets."""
        regression = self.task.kind == "regression"
        values = target.tolist()
        gold = [str(value) if regression else self.task.labels[value] for value in values]
        predicted = [str(row["predicted"]) for row in self.read(logits)]
        return metric.scores(self.task, gold, predicted)

    def predict_step(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, Tensor]:
        """Return (row numbers, logits) in full precision, as the saved student will give them."""
        with torch.autocast(self.device.type, enabled=False):
            return batch["row"].cpu(), self(batch).float().cpu()

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule."""
        steps = int(self.trainer.estimated_stepping_batches)
        fused = self.device.type in ("cpu", "cuda") and self.trainer.precision != "16-mixed"
        return optimizer.make(self.model, self.student, steps, fused)

    def read(self, logits: Tensor) -> list[dict[str, Any]]:
        """Return the prediction of each row; scores are on the task's scale."""
        if self.task.kind == "regression":
            logits = self.low + self.span * logits
        return predict.read(logits, self.task)

    def speed(self) -> float:
        """Return the rows trained on per second, without validation."""
        return self.seen / self.seconds if self.seconds else 0.0

    def finished(self) -> PreTrainedModel:
        """Return the model to save, which is of no use for training any more.

        The last layer of a regression model now gives scores on the task's own scale.
        """
        model = cast(PreTrainedModel, self.model)
        embedding.restore(model)
        layer = last_layer(model)
        with torch.no_grad():
            layer.weight.mul_(self.span)
            layer.bias.mul_(self.span).add_(self.low)
        return model


def scale(task: Task) -> tuple[float, float]:
    """Return (lowest level, distance to the highest) of a regression task; (0, 1) otherwise."""
    if task.kind != "regression":
        return 0.0, 1.0
    levels = [float(label) for label in task.labels]
    return min(levels), max(levels) - min(levels)
