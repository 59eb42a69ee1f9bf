"""Chat messages or a completion text from task, prompt, label, shots and slot value; pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from japagen.config.schema import Prompt
from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.llm import Message, Schema

ASK, ANSWER = "指示：", "回答："
TABOO = "次の言葉は使わないでください："


def instructions(task: Task, prompt: Prompt, label: str, slot: str = "") -> list[str]:
    """Return the instruction for each of task.inputs; the one of sentence 1 has no label."""
    wording, asked = task.wording.labels, turns(task, prompt)
    about_slot = ""
    if prompt.knowledge and task.knowledge is not None:
        wording = wording | task.knowledge.labels
        about_slot = task.knowledge.sentence if slot else ""
    texts = [asked[name].replace("{label}", wording[label]) for name in task.inputs]
    # A form to fill in stands on a line of its own.
    gap = "\n" if about_slot and "\n" in texts[0] else ""
    return [put(text, task, slot) for text in (texts[0] + gap + about_slot, *texts[1:])]


def turns(task: Task, prompt: Prompt) -> dict[str, str]:
    """Return the instruction for each of task.inputs with {label} in it."""
    own = task.knowledge.turns if prompt.knowledge and task.knowledge is not None else {}
    return task.wording.turns | own


def forbid(asked: Sequence[str], taboo: Sequence[str]) -> list[str]:
    """Return instructions whose first one forbids the `taboo` words."""
    first, *others = asked
    return [f"{first}\n{TABOO}{'、'.join(taboo)}。", *others]


def given(task: Task, prompt: Prompt) -> str:
    """Return all texts that prompts of a task contain, for all labels and slot values, as one."""
    slots = [value for label in task.labels for value in slot_values(task, prompt, label)]
    turns = [text for label in task.labels for text in instructions(task, prompt, label)]
    about_slot = task.knowledge.sentence if slots and task.knowledge is not None else ""
    return "\n".join([system(task), *turns, about_slot, *slots])


def system(task: Task, slot: str = "") -> str:
    """Return the system message."""
    return put(task.wording.system, task, slot)


def put(text: str, task: Task, slot: str) -> str:
    """Return `text` with the slot value in place of {slot}.

    A shot has no value: its instruction names the slot itself.
    """
    return text.replace("{slot}", slot or (task.knowledge.slot if task.knowledge else ""))


def slot_values(task: Task, prompt: Prompt, label: str) -> list[str]:
    """Return the values of the prompt's slot for a label; none without knowledge."""
    return list(task.knowledge.of(label)) if prompt.knowledge and task.knowledge is not None else []


def messages(
    asked: Sequence[str],
    replies: Sequence[str],
    shots: Sequence[tuple[Sequence[str], Example]],
    system: str,
) -> list[Message]:
    """Return the chat messages of the next turn, which end with a user message.

    `asked`: the instructions by turn. `replies`: those so far. `shots`: with their instructions.
    Turn n continues turn n-1, which keeps an engine's prefix cache. Two turns for a pair: arXiv
    2412.06738.
    """
    turns = [{"role": "system", "content": system}]
    for shot_asked, shot in shots:
        for question, answer in zip(shot_asked, shot.texts, strict=True):
            turns += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
    for question, answer in zip(asked, replies, strict=False):
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*turns, {"role": "user", "content": asked[len(replies)]}]


def completion_text(
    asked: Sequence[str],
    replies: Sequence[str],
    shots: Sequence[tuple[Sequence[str], Example]],
    system: str,
) -> str:
    """Return the same wording for a base model: a text whose next line is the reply."""
    turns = messages(asked, replies, shots, system)
    parts = [turns[0]["content"] + "\n"]
    for turn in turns[1:]:
        if turn["role"] == "user":
            parts.append(f"\n{ASK}{turn['content']}\n{ANSWER}")
        else:
            parts.append(turn["content"].replace("\n", " ") + "\n")
    return "".join(parts)


def joint(asked: Sequence[str], keys: Sequence[str], how: str = "") -> str:
    """Return one instruction for several texts, to be answered by a JSON object.

    `asked`: the instruction for the text under each key. `how`: words in front of the verb.
    """
    form = ", ".join(f'"{name}": "..."' for name in keys)
    tasks = "\n".join(f"- {name}：{text}" for name, text in zip(keys, asked, strict=True))
    return f"次の文をすべて{how}書き、{{{form}}} という形のJSONだけで答えてください。\n{tasks}"


def joined(shot: Example, inputs: Sequence[str]) -> Example:
    """Return a shot as the one reply to a joint instruction."""
    text = json.dumps(dict(zip(inputs, shot.texts, strict=True)), ensure_ascii=False)
    return dataclasses.replace(shot, texts=(text,))


def merged(shots: Sequence[Example], labels: Sequence[str]) -> Example:
    """Return a shot of each label as the one reply to a joint instruction."""
    pairs = zip(labels, shots, strict=True)
    text = json.dumps({label: shot.texts[-1] for label, shot in pairs}, ensure_ascii=False)
    return dataclasses.replace(shots[0], texts=(text,))


def joint_schema(inputs: Sequence[str]) -> Schema:
    """Return the JSON schema of a joint reply."""
    properties = {name: {"type": "string"} for name in inputs}
    return {
        "type": "object",
        "properties": properties,
        "required": list(inputs),
        "additionalProperties": False,
    }
