"""Which label an example has, by a student trained before: the second opinion of filter=verified."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.student.card import card


@dataclass(frozen=True)
class Verdict:
    """The number of a label in task.labels, -1 for none; and the probability of each label where the judge tells it."""

    label: int
    probabilities: tuple[float, ...] = ()


class Student:
    """A student in a folder that train.py saved. One example at a time: in a batch the same text would get other last digits."""

    def __init__(self, folder: str, task: Task) -> None:
        self.task, self.card = task, card(Path(folder), task)
        # The one use that generating has for a student; only filter.student pays for the import.
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True
            ).eval()
        except (OSError, ValueError) as error:
            raise UserError(f"filter.student={folder} cannot be opened: {error}") from error
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="judge")

    async def judge(self, texts: Sequence[str]) -> Verdict:
        """The verdict on one example; replies go on arriving meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, self.read, texts)

    def read(self, texts: Sequence[str]) -> Verdict:
        """Logits to a verdict: the likeliest label, or the level nearest to a regression's score."""
        import torch

        first, *rest = texts
        options = {
            "truncation": True,
            "max_length": self.card["max_length"],
            "return_tensors": "pt",
        }
        with torch.inference_mode():
            logits = (
                self.model(**self.tokenizer(self.card["prefix"] + first, *rest, **options))
                .logits[0]
                .float()
            )
        if self.task.kind == "regression":
            away = [abs(float(label) - float(logits[0])) for label in self.task.labels]
            return Verdict(away.index(min(away)))
        shares = [round(share, 6) for share in logits.softmax(-1).tolist()]
        return Verdict(int(logits.argmax()), tuple(shares))

    def close(self) -> None:
        """Wait for no more verdicts."""
        self.thread.shutdown(cancel_futures=True)
