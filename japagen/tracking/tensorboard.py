"""Runs as event files of TensorBoard, written by Lightning's logger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from japagen.tracking.job import Job
from japagen.tracking.safe import file_name

FOLDER = "tensorboard"
TEXTS = (".md", ".txt", ".yaml", ".json")


class TensorBoard:
    """One run: the folder tensorboard/TASK/NAME-KEY."""

    def __init__(self, job: Job, key: str) -> None:
        from lightning.pytorch.loggers import TensorBoardLogger

        words = re.sub(r"[^\w.]+", "-", job.name).strip("-")[:100]
        self.logger = TensorBoardLogger(
            FOLDER, file_name(job.experiment), version=f"{words}-{key}", default_hp_metric=False
        )
        self.settings: dict[str, str | float] = {}
        self.scores: dict[str, float] = {}

    @property
    def board(self) -> Any:
        """The writer of event files."""
        return self.logger.experiment

    def words(self, values: Mapping[str, str | float]) -> None:
        """Keep settings and tags for the table of hyperparameters, written at the end."""
        self.settings |= values

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Record metrics; those without a step at the end, with the settings that made them."""
        if step:
            self.logger.log_metrics(dict(values), step)
        else:
            self.scores |= values

    def file(self, path: Path, folder: str) -> None:
        """Record a text or an image."""
        name = f"{folder}/{path.name}".lstrip("/")
        if path.suffix == ".png":
            from matplotlib.image import imread

            self.board.add_image(name, imread(path)[:, :, :3], dataformats="HWC")
        elif path.suffix in TEXTS:
            text = path.read_text(encoding="utf-8")
            self.board.add_text(name, text if path.suffix == ".md" else f"```\n{text}\n```")

    def close(self, status: str) -> None:
        """Write settings and final metrics, and close the files."""
        # Lightning writes no settings without a metric.
        scores = self.scores or {"finished": float(status == "FINISHED")}
        self.logger.log_hyperparams({**self.settings, "status": status}, scores)
        self.logger.finalize("success")

    def where(self) -> str:
        """The command that shows the run."""
        run = Path(self.logger.log_dir).relative_to(FOLDER).as_posix()
        return f"tensorboard --logdir {FOLDER}  ->  run {run}"
