"""What identifies one training: its options as one frozen value, its name and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from japagen import __version__
from japagen.config.schema import Student, TrainConfig, Trainer
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.dataset.identity import Dataset
from japagen.gold.example import Example
from japagen.training.losses import RowLoss
from japagen.training.sources import Origin, Source


@dataclass(frozen=True)
class Training:
    """One training with one seed: made once from the config, then handed on instead of it.

    `seed`: of splits, of the new head and of training. `folder`: where trained students are kept.
    """

    task: Task
    student: Student
    data: Source
    loss: RowLoss
    trainer: Trainer
    dataset: Dataset
    gold_dir: str | None
    folder: Path
    seed: int

    @property
    def origin(self) -> Origin:
        """Where training rows may come from."""
        return Origin(self.task, self.dataset, self.gold_dir, self.seed)

    @property
    def bi_encoder(self) -> bool:
        """Whether the student encodes the texts of a pair apart."""
        return len(self.task.inputs) > 1 and self.student.pairs == "bi_encoder"

    @property
    def synthetic(self) -> bool:
        """Whether synthetic rows are trained on."""
        return "synthetic" in self.data.sources


def of(config: TrainConfig) -> Training:
    """Return the training that checked options name, with the first of its seeds."""
    return Training(
        task=config.task,
        student=config.student,
        data=config.data,
        loss=config.loss,
        trainer=config.trainer,
        dataset=identity.of(config),
        gold_dir=config.gold_dir,
        folder=Path(config.student_dir),
        seed=config.training_seed,
    )


def name(training: Training, rows: Sequence[Example] = ()) -> str:
    """Return a readable name that differs where anything that changes the student differs.

    `rows`: those the student is trained on and its checkpoint is chosen with.
    """
    task, dataset = training.task, training.dataset
    data = asdict(training.data)
    del data["test_limit"]  # on how many rows a student is scored changes nothing of it
    named = [
        asdict(training.student),
        data,
        asdict(training.loss),
        asdict(training.trainer),
        [task.inputs, task.labels, task.kind, task.metric],
        [[row.id, row.label, *row.texts] for row in rows],
        dataset.fingerprint if training.synthetic else "",
    ]
    digest = hashlib.sha256(json.dumps(named, sort_keys=True, default=str).encode()).hexdigest()[:6]
    source = source_name(training.data, dataset)
    return f"{task.name}-{training.student.name}-{source}-seed{training.seed}-{digest}"


def source_name(data: Source, dataset: Dataset) -> str:
    """Return the part of a name that says where the rows come from."""
    shots = data.gold_shots()
    made = f"{dataset.prompt.name}-{dataset.shots}shot-{dataset.num_per_label}"
    names = {
        "synthetic": f"{dataset.llm.name}-{made}",
        "gold": f"{shots}gold" if shots else "gold",
    }
    return "-".join(names[source] for source in data.sources)


def fingerprint(name: str, test: Sequence[Example], held_out: bool) -> str:
    """Return ten hexadecimal digits that differ where the score may differ.

    `name` stands for options and training rows; `held_out`: whether `test` is not gold.
    """
    rows = [[row.id, row.label, *row.texts] for row in test]
    text = json.dumps([__version__, name, held_out, rows])
    return hashlib.sha256(text.encode()).hexdigest()[:10]
