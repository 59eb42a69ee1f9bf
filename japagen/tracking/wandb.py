"""Runs of Weights & Biases, written by Lightning's logger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from japagen.config.secret import hidden
from japagen.tracking.job import Job
from japagen.tracking.safe import file_name

STEP = "trainer/global_step"  # Lightning's name of the steps
RENAMED = {"config.yaml": "options.yaml"}  # wandb has a file of this name


class WandB:
    """One run in the project japagen-TASK, or WANDB_PROJECT; the same job continues its run."""

    def __init__(self, job: Job, key: str) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb
        from lightning.pytorch.loggers import WandbLogger

        settings = wandb.Settings(
            console="off",
            silent=True,
            x_disable_stats=not job.system_metrics,
            # No file about the command, the machine and the working copy: it may hold secrets.
            x_disable_meta=True,
            disable_git=True,
            disable_code=True,
            x_save_requirements=False,
        )
        self.run: Any = wandb.init(
            name=hidden(job.name),
            project=os.environ.get("WANDB_PROJECT") or f"japagen-{file_name(job.experiment)}",
            id=key,
            resume="allow",
            dir=os.environ.get("WANDB_DIR", "."),
            group=hidden(job.method),
            job_type=job.stage,
            settings=settings,
            # With several seeds, the run of all and the run of each are open at the same time.
            reinit="create_new",
        )
        self.logger = WandbLogger(experiment=self.run)
        self.run.define_metric(STEP)
        self.run.define_metric("*", step_metric=STEP, step_sync=True)

    def words(self, values: Mapping[str, str | float]) -> None:
        """Record settings and tags in the run's config."""
        self.logger.log_hyperparams(dict(values))

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Record metrics."""
        self.logger.log_metrics(dict(values), step or None)

    def file(self, path: Path, folder: str) -> None:
        """Record a copy of a file; an image also where the charts are."""
        place = Path(self.run.dir) / folder / RENAMED.get(path.name, path.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        self.run.save(str(place), base_path=self.run.dir, policy="now")
        if path.suffix == ".png":
            self.logger.log_image(path.stem, [str(place)])

    def close(self, status: str) -> None:
        """End the run."""
        self.run.finish(exit_code=0 if status == "FINISHED" else 1)

    def where(self) -> str:
        """The address of the run, or the command that sends one that was recorded offline."""
        offline = f"wandb sync {Path(self.run.dir).parent}"
        return offline if self.run.offline else str(self.run.url or "")
