"""Taboo words: chosen after each round from the accepted rows, whatever the order of arrival."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig, Prompt
from japagen.config.task import Knowledge, Task, Wording
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL, Journal
from japagen.dataset.reply import Reply
from japagen.dataset.table import TABLE
from japagen.synthesis import rounds as rounds_module
from japagen.synthesis.acceptance import Acceptor
from japagen.synthesis.facts import Facts
from japagen.synthesis.rounds import ChoosingRounds
from japagen.synthesis.taboo import Taboo
from tests.conftest import Compose

LABELS = ["a", "b"]
TASK = Task(
    name="toy",
    inputs=["sentence"],
    labels=LABELS,
    wording=Wording("宿の客です。", {"sentence": "{label}"}, {"a": "感想を。", "b": "苦情を。"}),
    knowledge=Knowledge("物", "物は「{slot}」です。", ["部屋の広さ"]),
)
NOUNS = ["犬", "公園", "駅前", "シャワー", "残念", "朝食", "対応", "水圧", "景色", "温泉"]


class Memory:
    """A journal in memory: replies, and the values written between them."""

    def __init__(self) -> None:
        self.lines: list[Reply | Mapping[str, Any]] = []

    def write(self, entry: Mapping[str, Any]) -> None:
        self.lines.append(entry)


def make(number: int, rounds: ChoosingRounds) -> tuple[Acceptor, list[tuple[int, str]]]:
    kept: list[tuple[int, str]] = []

    def keep(k: int, reply: Reply) -> None:
        kept.append((k, reply.texts[0]))

    return Acceptor(LABELS, number, 6, keep, rounds=rounds), kept


def rounds_of(journal: Memory, words: int = 3, size: int = 4) -> ChoosingRounds:
    prompt = Prompt(name="taboo", taboo=words, round=size)
    found = rounds_module.of(TASK, prompt, Facts(cast(Journal, journal)))
    assert isinstance(found, ChoosingRounds)
    return found


def answer(k: int, attempt: int, taboo: tuple[str, ...]) -> Reply:
    """A model that obeys: some replies are rejected, and no taboo word is in a text."""
    draw, asked = random.Random(f"{k} {attempt}"), LABELS[k % 2]
    if draw.random() < 0.2:
        return Reply(k, attempt, asked, asked, (), "empty")
    allowed = [noun for noun in NOUNS if noun not in taboo]
    text = "と".join(draw.sample(allowed, 2)) + f"が{draw.randrange(30)}。"
    return Reply(k, attempt, asked, asked, (text,))


def drive(state: Acceptor, rounds: ChoosingRounds, journal: Memory, seed: int, stop: int) -> None:
    """Answer up to 8 requests at once in a random order, up to `stop` lines in the journal."""
    draw, flying = random.Random(seed), []
    while not state.done and len(journal.lines) < stop:
        while len(flying) < 8 and (work := state.take()) is not None:
            k, attempt = work
            flying.append(
                answer(k, attempt, tuple(rounds.chosen("taboo", k).get(state.label(k), ())))
            )
        reply = flying.pop(draw.randrange(len(flying)))
        journal.lines.append(reply)
        state.arrive(reply)
        rounds.save()


def resumed(journal: Memory, number: int, seed: int) -> list[tuple[int, str]]:
    """Continue a journal as a new process does, to the end."""
    rounds = rounds_of(journal)
    state, kept = make(number, rounds)
    for line in journal.lines:
        if not isinstance(line, Reply):
            rounds.facts.known.update(line)
    for line in list(journal.lines):
        if isinstance(line, Reply):
            state.replay(line)
    rounds.save()
    drive(state, rounds, journal, seed, 10**6)
    return kept


@settings(max_examples=20, deadline=None)
@given(number=st.integers(1, 20), seed=st.integers(0, 99), data=st.data())
def test_neither_the_order_of_arrival_nor_a_kill_changes_the_rows(
    number: int, seed: int, data: st.DataObject
) -> None:
    whole = Memory()
    rounds = rounds_of(whole)
    state, kept = make(number, rounds)
    drive(state, rounds, whole, 0, 10**6)
    cut = Memory()
    cut.lines = whole.lines[: data.draw(st.integers(0, len(whole.lines)))]
    assert resumed(cut, number, seed) == kept
    written = [key for line in cut.lines if not isinstance(line, Reply) for key in line]
    assert len(written) == len(set(written)), "the words of a round are written once"
    assert len(written) == (number - 1) // 4, "nothing is chosen after the last round"


def test_the_words_of_the_journal_win(tmp_path: Path) -> None:
    journal = Memory()
    rounds = rounds_of(journal)
    state, _ = make(4, rounds)
    rounds.facts.known["taboo/1"] = {"a": ["温泉"], "b": []}
    drive(state, rounds, journal, 0, 10**6)
    assert rounds.chosen("taboo", 8) == {"a": ["温泉"], "b": []}
    assert all(isinstance(line, Reply) for line in journal.lines)


def test_taboo_are_the_most_frequent_words_that_the_prompt_does_not_have() -> None:
    taboo = Taboo(TASK, Prompt(name="taboo", taboo=2, knowledge=True))
    texts = ("部屋の朝食が残念。", "朝食が残念で、対応も苦情。", "部屋の朝食と対応。", "駅前だ。")
    for text in texts:
        taboo.add("a", Reply(0, 0, "a", "a", (text,)))
    assert taboo.choose() == {"a": ["朝食", "対応"], "b": []}, "部屋 is in a slot value"
    about = dataclasses.replace(TASK, knowledge=Knowledge("物", "話題は「{slot}」です。", ["部屋"]))
    taboo = Taboo(about, Prompt(name="taboo", taboo=2, knowledge=True))
    for _ in range(2):
        taboo.add("a", Reply(0, 0, "a", "a", ("話題の朝食です。",)))
    assert taboo.choose()["a"] == ["朝食"], "話題 is in the sentence about the slot"


def test_without_an_option_there_is_one_round() -> None:
    one = rounds_module.of(TASK, Prompt(name="zero_shot"), Facts(cast(Journal, Memory())))
    assert (one.size, one.end(3), one.chosen("taboo", 99)) == (0, 0, {})


def generated(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


@pytest.mark.slow
def test_the_second_round_forbids_words_of_the_first(
    composed: Compose, sent: list[llm.Request]
) -> None:
    options = ["task=hotel_reviews", "prompt=knowledge", "prompt.taboo=2", "prompt.round=4"]
    folder = generated(composed, *options, "num_per_label=6")
    asked = [request.messages[-1]["content"] for request in sent]
    assert Counter("使わないでください：" in text for text in asked[:8]) == {False: 8}
    assert all("使わないでください：" in text for text in asked[8:])
    first = (folder / TABLE).read_bytes()
    assert b'"taboo/1"' in (folder / JOURNAL).read_bytes()
    assert generated(composed, *options, "num_per_label=8") == folder
    assert (folder / TABLE).read_bytes().startswith(first)


def test_pairs_have_one_list_for_all_labels(composed: Compose, sent: list[llm.Request]) -> None:
    generated(composed, "task=jnli", "prompt=taboo", "prompt.round=2", "num_per_label=4")
    lines = {
        message["content"].splitlines()[-1]
        for request in sent
        for message in request.messages
        if "使わないでください" in message["content"]
    }
    assert len(lines) == 1


def test_taboo_changes_the_identity_only_where_it_is_on() -> None:
    plain = identity.prompt_identity(Prompt(name="zero_shot"))
    assert identity.prompt_identity(Prompt(name="zero_shot", round=9)) == plain
    assert identity.prompt_identity(Prompt(name="zero_shot", taboo=3)) != plain
    both = [identity.prompt_identity(Prompt(name="taboo", taboo=3, round=n)) for n in (8, 9)]
    assert both[0] != both[1]


def test_taboo_without_words_is_refused(composed: Compose) -> None:
    with pytest.raises(UserError, match=r"prompt=taboo needs prompt.taboo of 1 or more"):
        check(composed("generate", "prompt=taboo", "prompt.taboo=0"), GenerateConfig)


def test_dry_run_shows_the_line(composed: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    generate.run(composed("generate", "prompt=taboo", "dry_run=true"))
    assert "使わないでください" in capsys.readouterr().out
