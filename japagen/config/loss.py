"""Options of the loss group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from japagen.config.choice import LOSSES, SOURCES
from japagen.config.data import Data
from japagen.config.error import did_you_mean
from japagen.config.limit import limited
from japagen.config.task import Task


@dataclass
class Loss:
    """The training loss; `auto`: cross entropy for classification, squared error for regression.

    `class_weights`: weight rows by the inverse frequency of their label. The other options belong
    to the losses of conf/loss/: `epsilon` label_smoothing; `q` generalized_ce; `alpha` and `beta`
    symmetric_ce; `delta` huber, as a share of the distance from the lowest level to the highest;
    `step` sungen, the largest change of a row's weight after an epoch.
    """

    name: str = "auto"
    class_weights: bool = False
    epsilon: float = limited(0.1, least=0, below=1)
    q: float = limited(0.7, above=0, most=1)
    alpha: float = limited(0.1, least=0)
    beta: float = limited(1.0, least=0)
    delta: float = limited(0.2, above=0)
    step: float = limited(0.1, above=0, most=1)

    def problems(self, task: Task, data: Data) -> Iterator[str]:
        """A loss must be known and fit the task's kind and the rows."""
        allowed = ["auto", *(name for name, kind in LOSSES.items() if kind == task.kind)]
        if self.name not in allowed:
            yield (
                f"loss is '{self.name}'; allowed for {task.kind}: {', '.join(allowed)}"
                f"{did_you_mean(self.name, allowed)}"
            )
        if self.class_weights and task.kind != "classification":
            yield f"loss.class_weights is for classification; task {task.name} is {task.kind}"
        if self.alpha == self.beta == 0:
            yield (
                "loss.alpha and loss.beta are both 0, so the loss is always 0: "
                "e.g. loss.alpha=0.1 loss.beta=1"
            )
        if self.name == "soft" and "synthetic" not in SOURCES.get(data.name, ("synthetic",)):
            yield (
                f"loss=soft needs the soft labels of an LLM; data={data.name} has none: "
                "use data=synthetic or data=mixed"
            )
        if self.name == "sungen" and data.gold_weight != 1:
            yield "loss=sungen learns the weight of each row: drop data.gold_weight"
