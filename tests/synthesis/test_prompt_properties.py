"""Prompts from any texts contain every text unchanged, and no unfilled `{label}` or `{slot}`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from japagen.config.schema import Prompt
from japagen.config.task import Knowledge, Task, Wording
from japagen.gold.example import Example
from japagen.synthesis import prompt

QUICK = settings(max_examples=60, deadline=None)
PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=8)
# Braces in data stay as they are, also `{label}` and `{slot}`: only the wording is a template.
BRACES = st.sampled_from(["{label}", "{slot}", "{", "}", "{{", "{0}", "{x!r}", "%s", "\\1", "$x"])
DATA = st.lists(BRACES | PLAIN, min_size=1, max_size=4).map("".join).filter(bool)
KNOWING = Prompt(name="knowledge", knowledge=True)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A task of one or two inputs; the last turn names the label, the knowledge the slot."""
    inputs = draw(st.sampled_from([["sentence"], ["sentence1", "sentence2"]]))
    turns = {name: draw(PLAIN) for name in inputs}
    turns[inputs[-1]] += "{label}" + draw(PLAIN)
    labels = draw(st.lists(PLAIN, min_size=2, max_size=3, unique=True))
    return Task(
        name="any",
        inputs=inputs,
        labels=labels,
        wording=Wording(
            system=draw(PLAIN) + draw(st.sampled_from(["", "{slot}"])),
            turns=turns,
            labels={label: draw(PLAIN) for label in labels},
        ),
        knowledge=Knowledge(
            slot=draw(PLAIN),
            sentence=draw(PLAIN) + "「{slot}」",
            values=draw(st.lists(DATA, min_size=1, max_size=3)),
            labels={labels[0]: draw(PLAIN)},
        ),
    )


def wording_of(task: Task, label: str) -> str:
    assert task.knowledge is not None
    return task.knowledge.labels.get(label, task.wording.labels[label])


@given(tasks(), st.data())
@QUICK
def test_instructions_contain_the_label_and_the_slot_value(task: Task, data: st.DataObject) -> None:
    assert task.knowledge is not None
    for label in task.labels:
        slot = data.draw(st.sampled_from(task.knowledge.values))
        asked = prompt.instructions(task, KNOWING, label, slot)
        before, after = task.wording.turns[task.inputs[-1]].split("{label}")
        assert before + wording_of(task, label) + after in asked[-1]
        assert f"「{slot}」" in asked[0]
        whole = "".join([*asked, prompt.system(task, slot)]).replace(slot, "")
        assert "{" not in whole


@given(tasks(), PLAIN)
@QUICK
def test_without_knowledge_no_slot_is_left(task: Task, slot: str) -> None:
    zero = Prompt(name="zero_shot")
    for knowledge in (task.knowledge, None):
        task.knowledge = knowledge
        for label in task.labels:
            asked = prompt.instructions(task, zero, label)
            assert task.wording.labels[label] in asked[-1]
            assert not any("{" in text for text in [*asked, prompt.system(task)])


@pytest.mark.slow
@given(tasks(), st.data())
@QUICK
def test_every_text_of_the_shots_is_in_the_prompt(task: Task, data: st.DataObject) -> None:
    texts = st.tuples(*[DATA] * len(task.inputs))
    drawn = data.draw(st.lists(texts, max_size=3))
    shots = [
        (
            prompt.instructions(task, KNOWING, task.labels[n % 2]),
            Example(f"gold-{n}", text, task.labels[n % 2]),
        )
        for n, text in enumerate(drawn)
    ]
    asked = prompt.instructions(task, KNOWING, task.labels[0], "犬")
    replies = data.draw(texts)[: len(task.inputs) - 1]
    turns = prompt.messages(asked, replies, shots, "system")
    said = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    assert said == [*(text for shot in drawn for text in shot), *replies]
    assert [turn["role"] for turn in turns[1:]] == ["user", "assistant"] * len(said) + ["user"]
    whole = prompt.completion_text(asked, replies, shots, "system")
    assert all(text.replace("\n", " ") in whole for text in said)
    assert whole.endswith(f"{asked[len(replies)]}\n{prompt.ANSWER}")


@given(st.lists(DATA, min_size=1, max_size=3), st.data())
@QUICK
def test_a_joint_prompt_has_every_instruction_and_text(
    asked: list[str], data: st.DataObject
) -> None:
    inputs = [f"sentence{n}" for n in range(len(asked))]
    texts = tuple(data.draw(DATA) for _ in inputs)
    whole = prompt.joint(asked, inputs)
    assert all(f"{name}：{text}" in whole for name, text in zip(inputs, asked, strict=True))
    (reply,) = prompt.joined(Example("gold-1", texts, "a"), inputs).texts
    assert json.loads(reply) == dict(zip(inputs, texts, strict=True))
