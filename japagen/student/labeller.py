"""Labels for texts by a saved student; heavy packages are imported only when one is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from japagen.config.task import Task
from japagen.student import card
from japagen.student.predictor import Predictor, softmax

if TYPE_CHECKING:
    import numpy as np


class Label(NamedTuple):
    """What a student says about one example.

    `number`: the place of the label in task.labels; for regression the level nearest to the score.
    `probabilities`: one for each of task.labels, rounded to 6 digits; empty for regression.
    """

    number: int
    probabilities: tuple[float, ...] = ()


class Labeller:
    """A saved student, opened once, that labels examples of `task`.

    `option` is what the user typed to name `folder`; it begins every error message. Raises
    UserError if the folder holds no student of this task, or a damaged one.
    """

    def __init__(self, folder: str | Path, task: Task, option: str) -> None:
        path = Path(folder).expanduser()
        self.task = task
        card.read(path, task, option)
        self.predictor = Predictor(path, "torch", option)

    def label(self, examples: Sequence[Sequence[str]], batch_size: int = 1) -> list[Label]:
        """Return a label for each example, given as the texts of task.inputs.

        Padding changes the last digits of a result. With batch_size=1 an example always gets the
        same probabilities, whatever it is labelled together with.
        """
        return [self.read(row) for row in self.predictor.logits(examples, batch_size)]

    def read(self, logits: np.ndarray) -> Label:
        """Return the label that one row of logits stands for."""
        if self.task.kind == "regression":
            away = [abs(float(level) - float(logits[0])) for level in self.task.labels]
            return Label(away.index(min(away)))
        shares = tuple(round(share, 6) for share in softmax(logits[None])[0].tolist())
        return Label(int(logits.argmax()), shares)
