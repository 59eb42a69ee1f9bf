"""Labels for texts by a saved student; heavy packages are imported only when one is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from japagen.config.task import Task
from japagen.student import card, opening

if TYPE_CHECKING:
    from torch import Tensor


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
        student = card.read(path, task, option)["student"]
        self.prefix, self.max_length = str(student.get("prefix", "")), int(student["max_length"])
        model, tokenizer = opening.open_saved(path, option)
        self.model: Any = model
        self.tokenizer: Any = tokenizer

    def label(self, examples: Sequence[Sequence[str]], batch_size: int = 1) -> list[Label]:
        """Return a label for each example, given as the texts of task.inputs.

        Padding changes the last digits of a result. With batch_size=1 an example always gets the
        same probabilities, whatever it is labelled together with.
        """
        found: list[Label] = []
        for start in range(0, len(examples), batch_size):
            logits = self.logits(examples[start : start + batch_size])
            found += [self.read(row) for row in logits]
        return found

    def logits(self, examples: Sequence[Sequence[str]]) -> Tensor:
        """Return (examples, labels), or (examples, 1) for regression."""
        import torch

        first, *rest = ([texts[place] for texts in examples] for place in range(len(examples[0])))
        batch = self.tokenizer(
            [self.prefix + text for text in first],
            *rest,
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits: Tensor = self.model(**batch).logits.float()
        return logits

    def read(self, logits: Tensor) -> Label:
        """Return the label that one row of logits stands for."""
        if self.task.kind == "regression":
            away = [abs(float(level) - float(logits[0])) for level in self.task.labels]
            return Label(away.index(min(away)))
        shares = tuple(round(share, 6) for share in logits.softmax(-1).tolist())
        return Label(int(logits.argmax()), shares)
