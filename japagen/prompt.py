"""(task, prompt, label, shots, slot value) to chat messages or a completion text; pure."""

from __future__ import annotations

from collections.abc import Sequence

from japagen.config import Prompt, Task
from japagen.gold import Example
from japagen.llm import Message

ASK, ANSWER = "指示：", "回答："


def instructions(task: Task, prompt: Prompt, label: str, slot: str = "") -> list[str]:
    """What the LLM is asked for each of task.inputs in turn; sentence 1 of a pair hears nothing of the label."""
    wording = dict(task.wording.labels)
    told = ""
    if prompt.knowledge and task.knowledge is not None:
        wording.update(task.knowledge.labels)
        told = task.knowledge.sentence.replace("{slot}", slot) if slot else ""
    texts = [task.wording.turns[name].replace("{label}", wording[label]) for name in task.inputs]
    return [texts[0] + told, *texts[1:]]


def slot_values(task: Task, prompt: Prompt) -> list[str]:
    """The values that the prompt's slot goes through; none without knowledge."""
    return list(task.knowledge.values) if prompt.knowledge and task.knowledge is not None else []


def messages(asked: Sequence[str], replies: Sequence[str], shots: Sequence[tuple[Sequence[str], Example]], system: str) -> list[Message]:
    """Chat messages for the next turn: `asked` by turn, `replies` so far, `shots` with what was asked for each.

    Ends with a user message; turn n is a continuation of turn n-1, so an engine's prefix cache holds (arXiv 2412.06738 for the two turns of a pair).
    """
    turns = [{"role": "system", "content": system}]
    for shot_asked, shot in shots:
        for question, answer in zip(shot_asked, shot.texts, strict=True):
            turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    for question, answer in zip(asked, replies, strict=False):
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [*turns, {"role": "user", "content": asked[len(replies)]}]


def completion_text(asked: Sequence[str], replies: Sequence[str], shots: Sequence[tuple[Sequence[str], Example]], system: str) -> str:
    """The same wording for a base model: a text whose next line is the reply."""
    turns = messages(asked, replies, shots, system)
    parts = [turns[0]["content"] + "\n"]
    for turn in turns[1:]:
        if turn["role"] == "user":
            parts.append(f"\n{ASK}{turn['content']}\n{ANSWER}")
        else:
            parts.append(turn["content"].replace("\n", " ") + "\n")
    return "".join(parts)
