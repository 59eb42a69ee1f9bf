"""Options of the logger group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from japagen.config.choice import ALSO, LOGGERS
from japagen.config.error import did_you_mean


@dataclass
class Logger:
    """Where runs are recorded: mlflow, tensorboard, wandb or none.

    `also`: further loggers at the same time. Of MLflow alone are `model`: log the saved student
    with its weights, and `system_metrics`: log the load of the machine (wandb has it, too).
    """

    name: str = "mlflow"
    also: list[str] = field(default_factory=list)
    model: bool = False
    system_metrics: bool = True

    @property
    def mlflow(self) -> bool:
        """Whether MLflow records the runs."""
        return self.name == "mlflow"

    @property
    def others(self) -> list[str]:
        """The loggers beside MLflow, each once."""
        return [name for name in dict.fromkeys([self.name, *self.also]) if name in ALSO]

    def problems(self) -> Iterator[str]:
        """An unknown logger, or options that it does not have."""
        if self.name not in LOGGERS:
            yield (
                f"logger is '{self.name}'; allowed: {', '.join(LOGGERS)}"
                f"{did_you_mean(self.name, LOGGERS)}"
            )
        for name in self.also:
            if name not in ALSO:
                yield (
                    f"logger.also has '{name}'; allowed: {', '.join(ALSO)}, for example "
                    f"logger.also=[wandb]{did_you_mean(name, ALSO)}"
                )
        if self.model and not self.mlflow:
            yield "logger.model=true needs MLflow: use logger=mlflow, or drop logger.model"
