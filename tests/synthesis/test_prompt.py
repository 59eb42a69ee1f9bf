"""Chat messages and completion texts from the wording of a task."""

from __future__ import annotations

import dataclasses
import json

import pytest
from omegaconf import OmegaConf

from japagen.config import schema
from japagen.config.schema import Prompt
from japagen.config.task import Knowledge, Task, Wording
from japagen.gold.example import Example
from japagen.synthesis import prompt

ZERO, KNOWING = Prompt(name="zero_shot"), Prompt(name="knowledge", knowledge=True)
PAIR = Task(
    name="pair",
    inputs=["sentence1", "sentence2"],
    labels=["same", "other"],
    wording=Wording(
        system="あなたはライターです。",
        turns={"sentence1": "一つ書いてください。", "sentence2": "次に、{label}"},
        labels={"same": "同じ文を。", "other": "別の文を。"},
    ),
    knowledge=Knowledge(
        slot="動物",
        sentence="動物は「{slot}」です。",
        values=["犬", "猫"],
        labels={"other": "関係のない文を。"},
    ),
)
SHOT = Example("gold-7", ("犬が走る。", "犬が駆ける。"), "same")
ASKED = ["一つ書いてください。", "次に、同じ文を。"]
TASKS = sorted(path.stem for path in (schema.CONF / "task").glob("*.yaml"))

# (store.FORMAT, sha256) of what `rendered` returns.


def shipped(name: str) -> Task:
    task = OmegaConf.to_object(
        OmegaConf.merge(
            OmegaConf.structured(Task), OmegaConf.load(schema.CONF / "task" / f"{name}.yaml")
        )
    )
    assert isinstance(task, Task)
    return task


def test_instructions_tell_the_label_in_the_last_turn() -> None:
    assert prompt.instructions(PAIR, ZERO, "same") == ASKED
    assert prompt.instructions(PAIR, ZERO, "other", "犬") == [
        "一つ書いてください。",
        "次に、別の文を。",
    ]


def test_knowledge_tells_the_slot_once_and_its_own_label_texts() -> None:
    asked = prompt.instructions(PAIR, KNOWING, "other", "犬")
    assert asked == ["一つ書いてください。動物は「犬」です。", "次に、関係のない文を。"]
    assert prompt.slot_values(PAIR, KNOWING, "other") == ["犬", "猫"]
    assert prompt.slot_values(PAIR, ZERO, "other") == []


def test_knowledge_may_have_its_own_instructions() -> None:
    assert PAIR.knowledge is not None
    own = dataclasses.replace(PAIR.knowledge, turns={"sentence1": "文にしてください。"})
    task = dataclasses.replace(PAIR, knowledge=own)
    asked = prompt.instructions(task, KNOWING, "same", "犬")
    assert asked == ["文にしてください。動物は「犬」です。", "次に、同じ文を。"]
    assert prompt.instructions(task, ZERO, "same") == ASKED
    assert "文にしてください。" in prompt.given(task, KNOWING)


def test_shot_of_knowledge_has_no_slot_sentence() -> None:
    assert prompt.instructions(PAIR, KNOWING, "same") == ASKED


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("how", [ZERO, KNOWING], ids=lambda how: how.name)
def test_first_turn_of_a_pair_is_the_same_for_every_label(name: str, how: Prompt) -> None:
    task = shipped(name)
    values = prompt.slot_values(task, how, task.labels[0]) or [""]
    firsts = {prompt.instructions(task, how, label, values[0])[0] for label in task.labels}
    assert len(firsts) == (1 if len(task.inputs) == 2 else len(task.labels))


@pytest.mark.parametrize("name", TASKS)
def test_every_label_is_asked_for_in_its_own_words_and_every_slot_once(name: str) -> None:
    task = shipped(name)
    for how in (ZERO, KNOWING):
        slots = [prompt.slot_values(task, how, label) or [""] for label in task.labels]
        for of_label in zip(*slots, strict=True):
            pairs = zip(task.labels, of_label, strict=True)
            asked = [prompt.instructions(task, how, label, slot) for label, slot in pairs]
            assert len({texts[-1] for texts in asked}) == len(task.labels)
            for slot, texts in zip(of_label, asked, strict=True):
                assert not any("{" in text for text in texts)
                assert slot == "" or "".join(texts).count(f"「{slot}」") == 1


@pytest.mark.parametrize("name", TASKS)
def test_illustrations_in_the_wording_are_not_gold(name: str) -> None:
    # A zero-shot prompt shows no sentence, only forms whose blanks are named.
    wording = shipped(name).wording
    for text in [*wording.turns.values(), *wording.labels.values()]:
        assert "例えば「" not in text


def test_messages_of_turn_two_begin_with_those_of_turn_one() -> None:
    shots = [(ASKED, SHOT)]
    first = prompt.messages(ASKED, [], shots, "system")
    second = prompt.messages(ASKED, ["猫が眠る。"], shots, "system")
    assert second[: len(first)] == first
    assert [turn["role"] for turn in second] == ["system", *["user", "assistant"] * 3, "user"]
    assert second[len(first) :] == [
        {"role": "assistant", "content": "猫が眠る。"},
        {"role": "user", "content": ASKED[1]},
    ]


def test_shots_are_turns_of_their_own() -> None:
    turns = prompt.messages(ASKED, [], [(ASKED, SHOT)], "system")
    assert [turn["content"] for turn in turns] == [
        "system",
        ASKED[0],
        "犬が走る。",
        ASKED[1],
        "犬が駆ける。",
        ASKED[0],
    ]


def test_completion_text_of_a_base_model_ends_where_the_reply_begins() -> None:
    text = prompt.completion_text(ASKED, ["猫が\n眠る。"], [(ASKED, SHOT)], "説明。")
    assert text == (
        "説明。\n"
        "\n指示：一つ書いてください。\n回答：犬が走る。\n"
        "\n指示：次に、同じ文を。\n回答：犬が駆ける。\n"
        "\n指示：一つ書いてください。\n回答：猫が 眠る。\n"
        "\n指示：次に、同じ文を。\n回答："
    )
    assert text.startswith(prompt.completion_text(ASKED, [], [(ASKED, SHOT)], "説明。"))


def with_slot_in_system() -> Task:
    wording = dataclasses.replace(PAIR.wording, system="{slot}に詳しいライターです。")
    return dataclasses.replace(PAIR, wording=wording)


def test_system_message_names_the_slot_value() -> None:
    assert prompt.system(PAIR, "犬") == "あなたはライターです。"
    assert prompt.system(with_slot_in_system(), "犬") == "犬に詳しいライターです。"


def test_without_a_value_the_slot_is_named_and_without_knowledge_it_is_empty() -> None:
    task = with_slot_in_system()
    assert prompt.system(task) == "動物に詳しいライターです。"
    without = dataclasses.replace(task, knowledge=None)
    assert prompt.system(without) == "に詳しいライターです。"
    assert prompt.system(without, "犬") == "犬に詳しいライターです。"


def test_slot_sentence_follows_a_form_on_a_line_of_its_own() -> None:
    turns = {"sentence1": "書いてください。\n形：（場所）です。", "sentence2": "次に、{label}"}
    task = dataclasses.replace(PAIR, wording=dataclasses.replace(PAIR.wording, turns=turns))
    form = "書いてください。\n形：（場所）です。"
    assert prompt.instructions(task, KNOWING, "same", "犬")[0] == f"{form}\n動物は「犬」です。"
    assert prompt.instructions(task, KNOWING, "same")[0] == form
    assert prompt.instructions(task, ZERO, "same", "犬")[0] == form


def test_knowledge_prompt_of_a_task_without_knowledge_is_the_plain_prompt() -> None:
    task = dataclasses.replace(PAIR, knowledge=None)
    assert prompt.instructions(task, KNOWING, "other", "犬") == [
        "一つ書いてください。",
        "次に、別の文を。",
    ]
    assert prompt.slot_values(task, KNOWING, "same") == []


@pytest.mark.parametrize("texts", [("一文だけ。",), ("一文。", "二文。", "三文。")])
def test_a_shot_with_too_few_or_too_many_texts_is_an_error(texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        prompt.messages(ASKED, [], [(ASKED, Example("gold-1", texts, "same"))], "system")
    with pytest.raises(ValueError, match="zip"):
        prompt.joined(Example("gold-1", texts, "same"), PAIR.inputs)


def test_joint_instruction_lists_each_input_and_shows_the_json_form() -> None:
    assert prompt.joint(ASKED, PAIR.inputs) == (
        '次の文をすべて書き、{"sentence1": "...", "sentence2": "..."} '
        "という形のJSONだけで答えてください。\n"
        "- sentence1：一つ書いてください。\n"
        "- sentence2：次に、同じ文を。"
    )
    with pytest.raises(ValueError, match="zip"):
        prompt.joint(ASKED[:1], PAIR.inputs)


def test_a_shot_of_a_joint_prompt_is_one_readable_json_object() -> None:
    shot = prompt.joined(SHOT, PAIR.inputs)
    text = '{"sentence1": "犬が走る。", "sentence2": "犬が駆ける。"}'
    assert shot == Example("gold-7", (text,), "same")
    assert json.loads(shot.texts[0]) == dict(zip(PAIR.inputs, SHOT.texts, strict=True))


def test_joint_schema_requires_each_input_as_text_and_nothing_else() -> None:
    assert prompt.joint_schema(PAIR.inputs) == {
        "type": "object",
        "properties": {"sentence1": {"type": "string"}, "sentence2": {"type": "string"}},
        "required": ["sentence1", "sentence2"],
        "additionalProperties": False,
    }
