"""Options of the prompt group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from omegaconf import MISSING

from japagen.config.limit import limited
from japagen.config.task import Task


@dataclass
class Prompt:
    """How the wording of a task is used. `shots`: the default of the option of the same name.

    `premise`: per_label (each example has its own sentence 1) or shared (one sentence 1 is used
    for every label). `joint`: what one structured reply holds. none: one text; inputs: both
    sentences of a pair; labels: a text for each label on one topic, after one sentence 1.
    `path`: a prompt file in the published JSON format. `taboo`: how many words that earlier rows
    overuse are forbidden in the prompt (0: none). `feedback`: how many earlier rows of each label
    that help a student most are shown in the prompt (0: none). Both are chosen again after each
    `round` of so many examples per label.
    """

    name: str = MISSING
    shots: int = limited(0, least=0)
    knowledge: bool = False
    premise: str = "per_label"
    joint: str = "none"
    path: str | None = None
    taboo: int = limited(0, least=0, most=30)
    feedback: int = limited(0, least=0, most=20)
    round: int = limited(32, least=1)

    def problems(self, task: Task, shots: int, shots_scope: str) -> Iterator[str]:
        """Options that do not fit each other, the task or the number of shots."""
        yield from self.pair_problems(task, shots, shots_scope)
        yield from self.joint_problems(task, shots)
        for name in ("taboo", "feedback"):
            if self.name == name and not getattr(self, name):
                yield f"prompt={name} needs prompt.{name} of 1 or more: add prompt.{name}=3"
        if self.name == "few_shot" and shots == 0:
            yield "prompt=few_shot needs shots of 1 or more: add shots=5, or use prompt=zero_shot"
        if self.knowledge and task.knowledge is None and self.path is None:
            yield (
                f"prompt={self.name} needs `knowledge` in the YAML of task {task.name}: add it, "
                "or use prompt=zero_shot"
            )

    def pair_problems(self, task: Task, shots: int, shots_scope: str) -> Iterator[str]:
        """`premise` is for pairs of sentences."""
        single = f"is for pairs of sentences; task {task.name} has one sentence"
        shared = self.premise == "shared"
        if self.premise not in ("per_label", "shared"):
            yield f"prompt.premise is '{self.premise}'; allowed: per_label, shared"
        elif shared and len(task.inputs) < 2:
            yield f"prompt.premise=shared {single}: drop it"
        elif shared and (shots or self.feedback) and shots_scope != "all":
            yield (
                "prompt.premise=shared shows the same shots for every label: add shots_scope=all"
            )
        elif shared:
            yield from self.first_turn_problems(task, "prompt.premise=shared")

    def first_turn_problems(self, task: Task, option: str) -> Iterator[str]:
        """A sentence 1 that all labels share cannot be asked for with a label."""
        first = task.inputs[0]
        theirs = task.knowledge.turns if self.knowledge and task.knowledge else {}
        for where, turns in (("wording", task.wording.turns), ("knowledge", theirs)):
            if "{label}" in turns.get(first, ""):
                yield (
                    f"{option} writes one {first} for all labels, but its instruction "
                    f"({where}.turns.{first}) contains {{label}}: drop one of them"
                )

    def joint_problems(self, task: Task, shots: int) -> Iterator[str]:
        """`joint` has to fit the task and the other options."""
        if self.joint not in ("none", "inputs", "labels"):
            yield (
                f"prompt.joint is '{self.joint}'; allowed: none, inputs (both sentences of a "
                "pair), labels (a text of each label)"
            )
        elif self.joint == "inputs" and len(task.inputs) < 2:
            yield (
                f"prompt.joint=inputs is for pairs of sentences; task {task.name} has one "
                "sentence: drop it, or use prompt.joint=labels"
            )
        elif self.joint == "labels" and shots and len(task.inputs) > 1:
            yield (
                "prompt.joint=labels asks for one sentence 1 with a sentence 2 for each label, and "
                f"gold pairs of task {task.name} do not share a sentence 1: use shots=0"
            )
        elif self.joint == "labels" and len(task.inputs) > 1:
            yield from self.first_turn_problems(task, "prompt.joint=labels")
        known = task.knowledge if self.knowledge else None
        if self.joint == "labels" and known and known.label_values:
            yield (
                "prompt.joint=labels writes all labels on one topic, and knowledge.label_values of "
                f"task {task.name} gives each label its own: drop one of them"
            )
        if self.joint == "labels" and self.feedback:
            yield (
                "prompt.joint=labels writes all labels in one reply and prompt.feedback shows rows "
                "of one label: drop one of them"
            )
        if self.joint != "none" and self.premise == "shared":
            yield (
                f"prompt.joint={self.joint} asks for both sentences at once and "
                "prompt.premise=shared for sentence 1 alone: drop one of them"
            )
