"""Options of the logger group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from japagen.config.choice import LOGGERS
from japagen.config.error import did_you_mean


@dataclass
class Logger:
    """Where runs are recorded: mlflow or none.

    `model`: log the saved student with its weights. `system_metrics`: log the load of the machine.
    """

    name: str = "mlflow"
    model: bool = False
    system_metrics: bool = True

    def problems(self) -> Iterator[str]:
        """An unknown logger, or options that it does not have."""
        if self.name not in LOGGERS:
            yield (
                f"logger is '{self.name}'; allowed: {', '.join(LOGGERS)}"
                f"{did_you_mean(self.name, LOGGERS)}"
            )
        if self.name == "none" and self.model:
            yield "logger.model=true needs a logger: use logger=mlflow, or drop logger.model"
