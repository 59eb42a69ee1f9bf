"""The plan of a dataset: the label, seed, slot value, shots and requests of every example."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from japagen import llm
from japagen.config.schema import LLM
from japagen.dataset.identity import Dataset
from japagen.gold import fetch, load
from japagen.gold.example import Example
from japagen.synthesis import prompt
from japagen.synthesis.rounds import Rounds
from japagen.synthesis.sentences import stops

# Of a reply in Japanese, with room for tokenizers that need more tokens than characters.
TOKENS_PER_CHARACTER = 1.5
MARGIN = 16
TOPIC = "、同じ話題で"


@dataclass(frozen=True)
class Plan:
    """Example k of L labels has label k mod L, number k div L, and a seed, slot value and shots."""

    dataset: Dataset
    shots: dict[str, list[Example]]
    slots: dict[str, list[str]] = field(default_factory=dict)
    # What is the same for many examples: instructions by label and slot value, the shots by label.
    instructions: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    examples: dict[str, list[tuple[list[str], Example]]] = field(default_factory=dict)
    rounds: Rounds = field(default_factory=Rounds)

    def label(self, k: int) -> str:
        """Return the label that example k asks for."""
        return self.dataset.task.labels[k % len(self.dataset.task.labels)]

    def number(self, k: int) -> int:
        """Return the number of example k among those of its label, from 0."""
        return k // len(self.dataset.task.labels)

    def name(self, k: int) -> str:
        """Return the id of example k."""
        return f"{self.label(k)}-{self.number(k):06d}"

    def slot(self, k: int) -> str:
        """Return the slot value of example k, the same for all labels of a number if shared."""
        slots = self.slots.get(self.label(k))
        return slots[self.number(k) % len(slots)] if slots else ""

    def asked(self, k: int) -> list[str]:
        """Return the instruction for each turn of example k."""
        key = self.label(k), self.slot(k)
        if key not in self.instructions:
            self.instructions[key] = prompt.instructions(
                self.dataset.task, self.dataset.prompt, *key
            )
        taboo = self.rounds.chosen("taboo", k).get(key[0])
        return prompt.forbid(self.instructions[key], taboo) if taboo else self.instructions[key]

    def shown(self, k: int) -> list[tuple[list[str], Example]]:
        """Return the shots for example k, each with the instructions that ask for it."""
        helpful = self.rounds.chosen("feedback", k)
        return [*self.gold_shown(k), *self.earlier_shown(k, helpful)]

    def earlier_shown(
        self, k: int, helpful: Mapping[str, Sequence[Sequence[str]]]
    ) -> Iterator[tuple[list[str], Example]]:
        """Yield earlier rows as shots, the most helpful ones last, where they count most."""
        task = self.dataset.task
        labels = task.labels if self.dataset.shots_scope == "all" else [self.label(k)]
        for place in reversed(range(self.dataset.prompt.feedback)):
            for label in labels:
                for texts in helpful.get(label, ())[place : place + 1]:
                    asked = prompt.instructions(task, self.dataset.prompt, label)
                    yield asked, Example("", tuple(texts), label)

    def gold_shown(self, k: int) -> list[tuple[list[str], Example]]:
        """Return the gold shots for example k."""
        own = self.label(k)
        if own not in self.examples:
            task = self.dataset.task
            labels = task.labels if self.dataset.shots_scope == "all" else [own]
            rows = [
                (label, self.shots[label][i]) for i in range(self.dataset.shots) for label in labels
            ]
            self.examples[own] = [
                (prompt.instructions(task, self.dataset.prompt, label), shot)
                for label, shot in rows
            ]
        return self.examples[own]

    def seed(self, name: str, attempt: int) -> int:
        """Return a seed of 31 bits for one attempt at what `name` names."""
        digest = hashlib.blake2b(
            f"{self.dataset.seed} {name} {attempt}".encode(), digest_size=4
        ).digest()
        return int.from_bytes(digest, "big") >> 1

    def first_request(self, k: int) -> llm.Request:
        """Return the first request that example k makes."""
        form = self.dataset.prompt.joint
        if form == "labels":
            return self.labels_request(k)
        return self.joint_request(k, 0) if form == "inputs" else self.request(k, 0, [])

    def writer(self, k: int, attempt: int) -> int:
        """Return the place of the LLM in llm.each that writes one attempt at example k.

        Moved by one each time the slot values begin anew, so that each LLM writes about all.
        """
        period = len(self.slots.get(self.label(k)) or [""])
        anew, place = divmod(self.number(k), period)
        return (place + anew + attempt) % len(self.dataset.llm.each)

    def author(self, k: int, attempt: int) -> LLM:
        """Return the LLM that writes one attempt at example k."""
        return self.dataset.llm.each[self.writer(k, attempt)]

    def request(self, k: int, attempt: int, replies: Sequence[str]) -> llm.Request:
        """Return the next turn of example k, after the `replies` to the turns before."""
        seed = self.seed(self.name(k), attempt)
        chat = self.author(k, attempt).chat
        return self.turn(self.asked(k), replies, self.shown(k), seed, k, chat)

    def premise_request(self, k: int, attempt: int, tried: int) -> llm.Request:
        """Return the request for a sentence 1 that all labels of a number share."""
        seed = self.seed(f"premise {self.number(k)} {attempt}", tried)
        chat = self.author(k, attempt).chat
        return self.turn(self.asked(k), [], self.shown(k), seed, k, chat)

    def joint_request(self, k: int, attempt: int) -> llm.Request:
        """Return the one request for all texts of example k in a JSON object."""
        inputs = self.dataset.task.inputs
        shown = [
            ([prompt.joint(asked, inputs)], prompt.joined(shot, inputs))
            for asked, shot in self.shown(k)
        ]
        asked = [prompt.joint(self.asked(k), inputs)]
        seed, chat = self.seed(self.name(k), attempt), self.author(k, attempt).chat
        return self.turn(asked, [], shown, seed, k, chat, prompt.joint_schema(inputs))

    def labels_request(self, k: int) -> llm.Request:
        """Return the one request for a text of each label of the number of example k."""
        task, form = self.dataset.task, self.dataset.prompt
        keys = [*task.inputs[:-1], *task.labels]

        def one(asked: Sequence[Sequence[str]]) -> str:
            return prompt.joint([*asked[0][:-1], *(texts[-1] for texts in asked)], keys, TOPIC)

        shown = [
            (
                [one([prompt.instructions(task, form, label) for label in task.labels])],
                prompt.merged([self.shots[label][i] for label in task.labels], task.labels),
            )
            for i in range(self.dataset.shots)
        ]
        first = k - k % len(task.labels)
        asked = one([self.asked(first + place) for place in range(len(task.labels))])
        seed, schema = self.seed(f"labels {self.number(k)}", 0), prompt.joint_schema(keys)
        request = self.turn([asked], [], shown, seed, k, self.author(k, 0).chat, schema)
        return replace(request, max_tokens=len(keys) * self.max_tokens)

    @property
    def max_tokens(self) -> int:
        """Return the token limit of one text."""
        return math.ceil(TOKENS_PER_CHARACTER * self.dataset.task.clean.max_chars) + MARGIN

    def turn(
        self,
        asked: Sequence[str],
        replies: Sequence[str],
        shown: Sequence[tuple[Sequence[str], Example]],
        seed: int,
        k: int,
        chat: bool,
        schema: llm.Schema | None = None,
    ) -> llm.Request:
        """Return a request in the form that the model reads: messages, or a completion text."""
        system, rules = prompt.system(self.dataset.task, self.slot(k)), self.dataset.task.clean
        form: dict[str, Any] = {"seed": seed, "schema": schema}
        if schema is None:
            form["max_tokens"] = self.max_tokens
        stop = stops(rules.sentences) if schema is None else ()
        if chat:
            messages = tuple(prompt.messages(asked, replies, shown, system))
            return llm.Request(messages=messages, stop=stop, **form)
        text = prompt.completion_text(asked, replies, shown, system)
        return llm.Request(text=text, stop=("\n", *stop), **form)


def make(dataset: Dataset, gold_dir: str | None) -> Plan:
    """Return the plan, with shots drawn from gold and the slot values shuffled by seed."""
    task, shots = dataset.task, dict[str, list[Example]]()
    if dataset.shots:
        try:
            rows = load.load(task, "train", gold_dir)
        except fetch.GoldMissing as error:
            message = f"shots={dataset.shots} needs gold examples to show to the LLM: {error}"
            raise fetch.GoldMissing(f"{message}\nWithout gold: shots=0") from error
        shots = load.draw_shots(rows, task, dataset.shots, dataset.seed)
    slots = {label: prompt.slot_values(task, dataset.prompt, label) for label in task.labels}
    for values in slots.values():
        random.Random(dataset.seed).shuffle(values)
    return Plan(dataset, shots, slots)
