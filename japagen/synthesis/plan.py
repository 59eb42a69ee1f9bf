"""The dataset as an enumeration: what is sent for every turn of every example."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from japagen import llm
from japagen.config.schema import GenerateConfig
from japagen.gold import fetch, load
from japagen.gold.example import Example
from japagen.synthesis import prompt


@dataclass(frozen=True)
class Plan:
    """Example k has label k mod L and number k div L, and its own seed, slot value and shots."""

    config: GenerateConfig
    shots: dict[str, list[Example]]
    slots: list[str] = field(default_factory=list)
    # What is the same for many examples: instructions by label and slot value, the shots by label.
    instructions: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    examples: dict[str, list[tuple[list[str], Example]]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many examples are asked for."""
        return len(self.config.task.labels) * self.config.num_per_label

    def label(self, k: int) -> str:
        """The label of example k."""
        return self.config.task.labels[k % len(self.config.task.labels)]

    def number(self, k: int) -> int:
        """The number of example k among those of its label, from 0."""
        return k // len(self.config.task.labels)

    def name(self, k: int) -> str:
        """The id of example k."""
        return f"{self.label(k)}-{self.number(k):06d}"

    def slot(self, k: int) -> str:
        """The slot value of example k, the same for all labels of a number."""
        return self.slots[self.number(k) % len(self.slots)] if self.slots else ""

    def asked(self, k: int) -> list[str]:
        """The instruction for each turn of example k."""
        key = self.label(k), self.slot(k)
        if key not in self.instructions:
            self.instructions[key] = prompt.instructions(self.config.task, self.config.prompt, *key)
        return self.instructions[key]

    def shown(self, k: int) -> list[tuple[list[str], Example]]:
        """The shots for example k, each with what would have been asked for it."""
        own = self.label(k)
        if own not in self.examples:
            task = self.config.task
            labels = task.labels if self.config.shots_scope == "all" else [own]
            rows = [
                (label, self.shots[label][i]) for i in range(self.config.shots) for label in labels
            ]
            self.examples[own] = [
                (prompt.instructions(task, self.config.prompt, label), shot) for label, shot in rows
            ]
        return self.examples[own]

    def seed(self, name: str, attempt: int) -> int:
        """A seed of 31 bits for one attempt at what `name` names."""
        digest = hashlib.blake2b(
            f"{self.config.seed} {name} {attempt}".encode(), digest_size=4
        ).digest()
        return int.from_bytes(digest, "big") >> 1

    def request(self, k: int, attempt: int, replies: Sequence[str]) -> llm.Request:
        """What is sent for the next turn of example k, after the `replies` to the turns before."""
        shared = self.config.prompt.premise == "shared" and not replies
        seed = self.seed(f"premise {self.number(k)}" if shared else self.name(k), attempt)
        return self.turn(self.asked(k), replies, self.shown(k), seed, k)

    def joint_request(self, k: int, attempt: int) -> llm.Request:
        """The one request for all texts of example k in a JSON object."""
        inputs = self.config.task.inputs
        shown = [
            ([prompt.joint(asked, inputs)], prompt.joined(shot, inputs))
            for asked, shot in self.shown(k)
        ]
        asked = [prompt.joint(self.asked(k), inputs)]
        return self.turn(
            asked, [], shown, self.seed(self.name(k), attempt), k, prompt.joint_schema(inputs)
        )

    def verify_request(self, texts: Sequence[str]) -> llm.Request:
        """The question which label `texts` have, answered by a number from 1."""
        asked, numbers = prompt.question(self.config.task, self.config.prompt, texts)
        system = prompt.QUESTION_SYSTEM
        if self.config.llm.chat:
            return llm.Request(
                messages=tuple(prompt.messages([asked], [], [], system)),
                choices=numbers,
                temperature=0.0,
            )
        return llm.Request(
            text=prompt.completion_text([asked], [], [], system),
            stop=("\n",),
            choices=numbers,
            temperature=0.0,
        )

    def turn(
        self,
        asked: Sequence[str],
        replies: Sequence[str],
        shown: Sequence[tuple[Sequence[str], Example]],
        seed: int,
        k: int,
        schema: llm.Schema | None = None,
    ) -> llm.Request:
        """A request in the form that the model reads: messages, or a completion text."""
        system = prompt.system(self.config.task, self.slot(k))
        if self.config.llm.chat:
            return llm.Request(
                messages=tuple(prompt.messages(asked, replies, shown, system)),
                seed=seed,
                schema=schema,
            )
        return llm.Request(
            text=prompt.completion_text(asked, replies, shown, system),
            seed=seed,
            stop=("\n",),
            schema=schema,
        )


def make(config: GenerateConfig) -> Plan:
    """The plan, with its shots drawn from gold and its slot values in an order of their own by seed."""
    shots: dict[str, list[Example]] = {}
    if config.shots:
        try:
            rows = load.load(config.task, "train", config.gold_dir)
        except fetch.GoldMissing as error:
            message = f"shots={config.shots} needs gold examples to show to the LLM: {error}\nWithout gold: shots=0"
            raise fetch.GoldMissing(message) from error
        shots = load.draw_shots(rows, config.task, config.shots, config.seed)
    slots = prompt.slot_values(config.task, config.prompt)
    random.Random(config.seed).shuffle(slots)
    return Plan(config, shots, slots)
