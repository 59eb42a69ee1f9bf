"""A saved student that answers: texts in, labels or scores out, with any backend."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.student import card, opening
from japagen.student.backend import AUTO, TORCH, Backend, fastest, open_backend
from japagen.student.plain import PlainTokenizer

if TYPE_CHECKING:
    import numpy as np

BATCH = 32
PLAIN = "plain_tokenizer"  # in japagen.json: whether PlainTokenizer reads texts as it should

Texts = Sequence[Sequence[str]]


class Predictor:
    """A saved student, opened once. An example is the texts of task.inputs, in that order.

    `backend`: a name of `backend.BACKENDS`, or auto; `option`: what the user typed to name
    `folder`, for messages. Raises UserError if there is no student in `folder` or a damaged one.
    """

    def __init__(
        self,
        folder: str | Path,
        backend: str = AUTO,
        option: str = "student",
        threads: int | None = None,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.card = card.parse(self.folder, option)
        self.task = task_of(self.card)
        self.prefix = str(self.card["student"].get("prefix") or "")
        self.max_length = int(self.card["student"]["max_length"])
        self.name = backend
        if backend == AUTO:
            self.name = fastest(self.folder, self.card.get("exports") or {})
        self.tokenizer: Any
        if self.name not in TORCH and self.card.get(PLAIN):
            with opening.one_message(lambda error: opening.cannot_open(self.folder, option, error)):
                self.tokenizer = PlainTokenizer(self.folder)
        else:
            self.tokenizer = opening.open_saved_tokenizer(self.folder, option)
        self.backend: Backend = open_backend(self.folder, self.name, option, threads)

    def using(self, backend: Backend) -> Predictor:
        """Return a predictor that differs in its backend alone."""
        other = copy.copy(self)
        other.backend = backend
        return other

    def predict(self, examples: Texts, batch_size: int = BATCH) -> list[dict[str, Any]]:
        """Return for each example `predicted` and, for labels, `probability`, in their order."""
        return answers(self.logits(examples, batch_size), self.task)

    def logits(self, examples: Texts, batch_size: int = BATCH) -> np.ndarray:
        """Return (examples, labels), or (examples, 1) for a regression.

        Examples of like length share a batch. Padding changes the last digits of a result: with
        batch_size=1 an example gets the same numbers whatever it is asked together with.
        """
        import numpy as np

        columns = tokens(self.tokenizer, examples, self.prefix, self.max_length)
        lengths = [len(ids) for ids in columns["input_ids"]]
        order = sorted(range(len(examples)), key=lengths.__getitem__)
        found = np.empty((len(examples), self.outputs()), np.float32)
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            logits = self.backend.logits(padded(columns, places, self.tokenizer))
            if logits.shape[1] != found.shape[1]:
                raise UserError(
                    f"the student {self.folder} gives {logits.shape[1]} numbers for a text; its "
                    f"task in japagen.json needs {found.shape[1]}: copy or train it again"
                )
            found[places] = logits
        return found

    def outputs(self) -> int:
        """Return the number of logits of an example."""
        return 1 if self.task.kind == "regression" else len(self.task.labels)


def task_of(found: Mapping[str, Any]) -> Task:
    """Return the task that a card (japagen.json) names, as far as it is stored there."""
    keys = ("name", "kind", "inputs", "metric", "labels")
    given = {key: found["task"][key] for key in keys if key in found["task"]}
    usual = "spearman" if given.get("kind") == "regression" else "accuracy"
    return Task(**{"name": "unnamed", "metric": usual, **given})


def tokens(
    tokenizer: Any, examples: Texts, prefix: str, max_length: int
) -> Mapping[str, list[list[int]]]:
    """Return the model's inputs by name, a list of numbers for each example, not padded."""
    if not examples:
        return {"input_ids": []}
    first, *rest = ([texts[place] for texts in examples] for place in range(len(examples[0])))
    found: Mapping[str, list[list[int]]] = tokenizer(
        [prefix + text for text in first],
        *rest,
        truncation=True,
        max_length=max_length,
        verbose=False,
    )
    return found


def padded(
    columns: Mapping[str, list[list[int]]], places: Sequence[int], tokenizer: Any
) -> dict[str, np.ndarray]:
    """Return the rows at `places`, padded to the longest of them, as (rows, tokens) int64."""
    import numpy as np

    pads = {"input_ids": tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    longest = max(len(columns["input_ids"][place]) for place in places)
    batch = {name: np.full((len(places), longest), pads.get(name, 0), np.int64) for name in columns}
    for name, table in batch.items():
        for row, place in enumerate(places):
            ids = columns[name][place]
            table[row, : len(ids)] = ids
    return batch


def answers(logits: np.ndarray, task: Task) -> list[dict[str, Any]]:
    """Return what each row of logits says: `predicted` and, for labels, `probability`."""
    if task.kind == "regression":
        return [{"predicted": value} for value in logits[:, 0].tolist()]
    best = logits.argmax(-1).tolist()
    shares = softmax(logits).max(-1).tolist()
    return [
        {"predicted": task.labels[label], "probability": round(share, 6)}
        for label, share in zip(best, shares, strict=True)
    ]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return (rows, labels) of shares that sum to 1."""
    import numpy as np

    powers: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
    found: np.ndarray = powers / powers.sum(-1, keepdims=True)
    return found
