"""knowledge=llm: slot values that the LLM proposes, filtered and editable."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.knowledge import Values
from japagen.config.schema import GenerateConfig, Prompt
from japagen.config.task import Clean, Knowledge, Question, Task, Wording
from japagen.dataset import identity, knowledge
from japagen.dataset.journal import JOURNAL
from japagen.dataset.table import MANIFEST, TABLE
from japagen.llm import fake
from japagen.student import vectors
from japagen.synthesis import proposal
from tests.conftest import Compose

TASK = Task(
    name="hotel",
    inputs=["sentence"],
    labels=["positive", "negative"],
    wording=Wording("宿の客です。", {"sentence": "{label}"}, {"positive": "良かったことを書く。"}),
    knowledge=Knowledge("aspect", "話題は「{slot}」です。", ["枕", "朝食"]),
    question=Question(answers={"positive": "満足", "negative": "不満"}),
    clean=Clean(forbidden=["感想"]),
)
WORDS = ["task=hotel_reviews", "prompt=knowledge", "knowledge=llm", "num_per_label=3"]


def reply(text: str, finish: str = "stop") -> llm.Completion:
    return llm.Completion(text, finish, 10, 5)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A fake LLM that lists slot values when it is asked for them, and what it was asked."""
    asked: list[str] = []

    class Listing(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            text = request.messages[-1]["content"]
            if "番まで書いてください" not in text:
                return await super().complete(request)
            asked.append(text)
            place = len(asked)
            return reply(f"1. 窓の眺め{place}\n2. 窓の眺め0\n- 満足した点\n非常に長い{'言' * 20}\n")

    monkeypatch.setattr(fake, "Fake", Listing)
    return asked


@pytest.fixture(autouse=True)
def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """All texts are alike, in place of the encoder."""
    ones = lambda texts, others: [[1.0] * len(others) for _ in texts]  # noqa: E731
    monkeypatch.setattr(vectors, "cosines", ones)


def generated(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", *WORDS, *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


def values_of(folder: Path) -> list[str]:
    content = knowledge.read(folder / knowledge.KNOWLEDGE)
    assert content is not None
    return list(content["values"])


def test_values_of_several_words_are_not_taken_apart() -> None:
    replies = [reply("4. 窓、朝の光\n5. 庭、池")]
    assert proposal.accepted(replies, TASK)[0] == ["窓", "朝の光", "庭", "池"]
    own = Knowledge("words", "「{slot}」です。", ["枕、ベッド", "朝食"])
    task = dataclasses.replace(TASK, knowledge=own)
    assert proposal.accepted(replies, task)[0] == ["窓、朝の光", "庭、池"]


def test_lists_in_any_form_are_read_and_filtered() -> None:
    replies = [
        reply("1. 客室の鍵\n2. 大浴場、ロビー\n・「売店」\nstaff\n不満な点"),
        reply("ロビー\n感想\n良かったこと\n这是房间\n" + "長" * 21),
        reply("", "content_filter"),
        reply("駐車場\n途中で切", "length"),
    ]
    values, rejected = proposal.accepted(replies, TASK)
    assert values == ["客室の鍵", "ロビー", "駐車場", "大浴場", "売店"]
    assert rejected == Counter(label_leak=3, not_japanese=2, duplicate=1, too_long=1, refused=1)


def test_a_part_of_an_instruction_of_the_slots_own_leaks_the_label() -> None:
    own = Knowledge("aspect", "{slot}", ["枕"], labels={"positive": "嬉しい話を書いてください。"})
    assert proposal.unusable("嬉しい話", dataclasses.replace(TASK, knowledge=own)) == "label_leak"
    assert proposal.unusable("嬉しい話", TASK) == ""


def test_values_far_from_the_tasks_own_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    own, near = ["枕", "朝食", "風呂"], {"布団": 0.9, "夕食": 0.8, "湯": 0.85, "舞": 0.3, "雪": 0.2}
    task = dataclasses.replace(TASK, knowledge=Knowledge("aspect", "{slot}", own))

    def cosines(texts: list[str], others: list[str]) -> list[list[float]]:
        assert (texts, others) == ([*own, *near], own)
        known = [[1.0 if place == row else 0.8 for place in range(3)] for row in range(3)]
        return known + [[0.1, near[text], 0.1] for text in texts[3:]]

    monkeypatch.setattr(vectors, "cosines", cosines)
    assert proposal.fitting(list(near), task) == (["布団", "夕食", "湯"], 2)
    near = dict.fromkeys("一二三四", 0.3) | {"五": 0.2}
    assert proposal.fitting(list(near), task) == (list("一二三四"), 1)  # at least half are kept
    few = dataclasses.replace(task, knowledge=Knowledge("aspect", "{slot}", own[:2]))
    assert proposal.fitting(list(near), few) == (list(near), 0)


def test_without_the_encoder_all_values_fit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent(*_: object) -> None:
        raise UserError("pip install it")

    monkeypatch.setattr(vectors, "cosines", absent)
    task = dataclasses.replace(TASK, knowledge=Knowledge("aspect", "{slot}", ["枕", "朝食", "湯"]))
    assert proposal.fitting(["雪"], task) == (["雪"], 0)
    assert "not checked for their fit" in caplog.text


@pytest.mark.slow
def test_the_encoder_finds_values_of_another_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("JAPAGEN_CACHE", raising=False)
    own = ["部屋の広さ", "ベッドの寝心地", "朝食", "夕食", "大浴場", "フロントの対応", "駐車場"]
    task = dataclasses.replace(TASK, knowledge=Knowledge("aspect", "{slot}", own))
    kept, number = proposal.fitting(["客室", "舞踏", "食事", "毛糸", "露天風呂", "火星"], task)
    assert {"客室", "食事", "露天風呂"} <= set(kept)
    assert number >= 2


def test_each_request_has_its_own_seed_and_examples(composed: Compose) -> None:
    dataset = identity.of(check(composed("generate", *WORDS), GenerateConfig))
    requests = [proposal.request(dataset, number) for number in range(8)]
    assert requests == [proposal.request(dataset, number) for number in range(8)]
    assert len({request.seed for request in requests}) == 8
    assert len({request.messages[-1]["content"] for request in requests}) > 5
    assert "取り上げるのは「〇〇」です。" in requests[0].messages[-1]["content"]
    base = dataclasses.replace(dataset, llm=dataclasses.replace(dataset.llm, chat=False))
    assert proposal.request(base, 0).text.endswith("回答：")


@pytest.mark.slow
def test_the_values_are_kept_in_a_file_and_used(
    composed: Compose, listed: list[str], sent: list[llm.Request]
) -> None:
    folder = generated(composed, "knowledge.values=3")
    assert len(listed) == 8
    assert values_of(folder) == ["窓の眺め1", "窓の眺め2", "窓の眺め3"]
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["knowledge"]["values"] == values_of(folder)
    assert manifest["knowledge"]["tokens"] == [80, 40]
    before = (folder / TABLE).read_bytes()
    (folder / MANIFEST).unlink()
    generated(composed, "knowledge.values=3")
    assert len(listed) == 8, "the values are not asked for again"
    assert (folder / TABLE).read_bytes() == before


@pytest.mark.slow
def test_only_stops_so_that_a_person_can_edit(
    composed: Compose, listed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = generated(composed, "knowledge.only=true")
    assert not (folder / JOURNAL).exists()
    assert "窓の眺め1" in capsys.readouterr().out
    knowledge.write(folder / knowledge.KNOWLEDGE, ["枕", "湯船"], "a person", (0, 0))
    assert generated(composed) == folder
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["knowledge"]["values"] == ["枕", "湯船"]


@pytest.mark.slow
def test_values_edited_after_rows_were_written_are_never_mixed(
    composed: Compose, listed: list[str]
) -> None:
    folder = generated(composed)
    knowledge.write(folder / knowledge.KNOWLEDGE, ["枕", "湯船"], "a person", (0, 0))
    for words in ([], ["num_per_label=4"]):
        with pytest.raises(UserError, match=r"was edited after rows were written.*窓の眺め1"):
            generated(composed, *words)
    (folder / MANIFEST).unlink()
    with pytest.raises(UserError, match=r"delete journal.jsonl"):
        generated(composed)
    (folder / JOURNAL).unlink()
    generated(composed)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["knowledge"]["values"] == ["枕", "湯船"]


def test_an_llm_without_usable_values_is_an_error(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposal, "accepted", lambda replies, task: (["枕"], Counter(chatter=3)))
    with pytest.raises(UserError, match=r"fake proposed 1 usable .*chatter 3.*knowledge=hand"):
        generated(composed)


def test_the_plain_fake_llm_is_enough_for_a_try(composed: Compose) -> None:
    assert len(values_of(generated(composed, "knowledge.only=true"))) > 2


@pytest.mark.parametrize(
    "text", ["values: 3", "[]", "values: [枕]", "values: [枕, 枕]", "a: [", "values: [1, 2]"]
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / knowledge.KNOWLEDGE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"knowledge.yaml (must have|is not YAML)"):
        knowledge.read(path)


def test_choices_that_do_not_fit_are_refused() -> None:
    plain, knowing = Prompt(name="zero_shot"), Prompt(name="knowledge", knowledge=True)
    assert not list(Values("llm").problems(TASK, knowing))
    bare = dataclasses.replace(TASK, knowledge=None)
    for values, prompt, task, part in (
        (Values("lm"), knowing, TASK, "did you mean 'llm'"),
        (Values("hand", only=True), knowing, TASK, "knowledge.only is for knowledge=llm"),
        (Values("llm"), plain, TASK, "add prompt=knowledge"),
        (Values("llm"), knowing, bare, "some values as examples"),
    ):
        (problem,) = values.problems(task, prompt)
        assert part in problem


def test_the_source_is_part_of_the_identity_only_where_it_is_the_llm(composed: Compose) -> None:
    own = identity.of(check(composed("generate", *WORDS), GenerateConfig))
    assert own.identity["knowledge"] == {"name": "llm", "values": 40, "requests": 8}
    assert "knowledge=llm" in own.next_command
    hand = identity.of(check(composed("generate", *WORDS[:2]), GenerateConfig))
    assert "knowledge" not in hand.identity
    assert "knowledge=hand" not in hand.command
