"""Options of the knowledge group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from japagen.config.choice import KNOWLEDGE
from japagen.config.error import did_you_mean
from japagen.config.limit import limited
from japagen.config.prompt import Prompt
from japagen.config.task import Task


@dataclass
class Values:
    """Where the slot values of prompt=knowledge come from.

    `name`: `hand` (the YAML of the task) or `llm` (proposed by the LLM in `requests` requests, at
    most `values` of them). `only`: stop when the proposed values are written to a file.
    """

    name: str = "hand"
    values: int = limited(40, least=2)
    requests: int = limited(8, least=1)
    only: bool = False

    def problems(self, task: Task, prompt: Prompt) -> Iterator[str]:
        """An unknown name, or a prompt or task without a slot."""
        if self.name not in KNOWLEDGE:
            yield (
                f"knowledge is '{self.name}'; allowed: {', '.join(KNOWLEDGE)}"
                f"{did_you_mean(self.name, KNOWLEDGE)}"
            )
        if self.name != "llm":
            for option in ("values", "requests", "only"):
                if getattr(self, option) != getattr(Values, option):
                    yield f"knowledge.{option} is for knowledge=llm: add knowledge=llm"
            return
        if not prompt.knowledge:
            yield "knowledge=llm needs a prompt with a slot: add prompt=knowledge"
        elif not (task.knowledge and task.knowledge.values and "{slot}" in task.knowledge.sentence):
            yield (
                f"knowledge=llm needs `knowledge` in the YAML of task {task.name} with a sentence "
                "that has {slot}, and some values as examples: add them, or use knowledge=hand"
            )
        elif task.knowledge.label_values:
            yield (
                "knowledge=llm proposes values for all labels together, and knowledge.label_values "
                f"of task {task.name} gives each label its own: use knowledge=hand"
            )
