"""llm=mixed: one dataset written by several LLMs in turn."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import LLM, Filter, GenerateConfig
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL
from japagen.dataset.table import CARD, MANIFEST, TABLE, read
from japagen.llm import fake
from japagen.synthesis.plan import make
from tests.conftest import Compose

TWO = [
    "llm=mixed",
    "llm@llm.writers.first=fake",
    "llm@llm.writers.second=fake",
    "llm.writers.second.name=other",
    "llm.writers.second.engine.malformed_rate=0.3",
    "llm.writers.second.price_completion=1000000",
    "task=hotel_reviews",
]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engines that were opened and closed; replies come in an order drawn by chance."""
    found: list[str] = []

    class Recording(fake.Fake):
        def __init__(self, options: LLM) -> None:
            super().__init__(options)
            self.name = options.name
            found.append(f"+{self.name}")

        async def complete(self, request: llm.Request) -> llm.Completion:
            for _ in range(random.randrange(5)):
                await asyncio.sleep(0)
            return await super().complete(request)

        async def close(self) -> None:
            found.append(f"-{self.name}")

    monkeypatch.setattr(fake, "Fake", Recording)
    return found


def generated(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", *TWO, *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


def rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / TABLE).read_text(encoding="utf-8").splitlines()]


def test_each_llm_writes_about_every_slot_value(composed: Compose) -> None:
    cfg = composed("generate", *TWO, "prompt=knowledge")
    plan = make(identity.of(check(cfg, GenerateConfig)), None)
    pairs = Counter((plan.author(k, 0).name, plan.slot(k)) for k in range(2 * 80))
    assert len(pairs) == 2 * 40
    assert set(pairs.values()) == {2}, "once for each label"
    assert plan.author(0, 0) != plan.author(0, 1)
    plain = make(identity.of(check(composed("generate", *TWO), GenerateConfig)), None)
    assert [plain.writer(2 * number, 0) for number in range(4)] == [0, 1, 0, 1]


@pytest.mark.slow
def test_each_llm_writes_its_share_and_only_one_is_loaded(
    composed: Compose, opened: list[str]
) -> None:
    folder = generated(composed, "num_per_label=20")
    written = Counter(row["llm"] for row in rows(folder))
    assert written["fake"] + written["other"] == 40
    assert min(written.values()) > 8, "rejected attempts go to the other one"
    assert [sign[0] for sign in opened] == ["+", "-"] * (len(opened) // 2)
    assert all(one[1:] == two[1:] for one, two in zip(opened[::2], opened[1::2], strict=True))
    assert len(opened) <= 16, "a model is not loaded for every example"
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    counts = manifest["llms"]
    assert sum(count["accepted"] for count in counts.values()) == 40
    assert manifest["cost"] == counts["other"]["completion_tokens"]
    assert "- {name: llm, dtype: string}" in (folder / CARD).read_text(encoding="utf-8")
    assert len(read(identity.of(config(composed, "num_per_label=20")))) == 40


def config(composed: Compose, *words: str) -> GenerateConfig:
    return check(composed("generate", *TWO, *words), GenerateConfig)


@pytest.mark.slow
def test_a_resumed_job_ends_with_the_same_rows(composed: Compose, opened: list[str]) -> None:
    folder = generated(composed, "num_per_label=6")
    whole, lines = (folder / TABLE).read_bytes(), (folder / JOURNAL).read_bytes().splitlines(True)
    (folder / MANIFEST).unlink()
    (folder / JOURNAL).write_bytes(b"".join(lines[: len(lines) // 2]))
    generated(composed, "num_per_label=6")
    assert (folder / TABLE).read_bytes() == whole


def test_an_estimate_asks_every_llm(composed: Compose, opened: list[str]) -> None:
    generated(composed, "estimate=true", "estimate_examples=4", "num_per_label=20")
    assert {sign[1:] for sign in opened} == {"fake", "other"}


@pytest.mark.slow
def test_the_writers_are_part_of_the_identity(composed: Compose) -> None:
    one, two = (
        identity.of(config(composed, *words))
        for words in ([], ["+llm.writers.first.sampling={temperature: 1}"])
    )
    assert one.folder.name.startswith("fake+other-zero_shot")
    assert one.fingerprint != two.fingerprint


def test_writers_that_do_not_fit_are_refused() -> None:
    plain = LLM(_target_="japagen.llm.fake.Fake", name="fake", model="fake")
    same = LLM("japagen.llm.mixed.Mixed", "mixed", "mixed", writers={"a": plain, "b": plain})
    (problem,) = same.problems([])
    assert "it needs two or more with different names" in problem
    inner = LLM("japagen.llm.fake.Fake", "x", "x", concurrency=0, max_cost=1, writers={"a": plain})
    other = LLM("japagen.llm.mixed.Mixed", "mixed", "mixed", writers={"a": plain, "b": inner})
    problems = "\n".join(other.problems([]))
    for part in ("is a mixture itself", "llm.writers.b.max_cost is", "llm.writers.b.concurrency"):
        assert part in problems


def test_a_mixture_verifies_no_labels_and_answers_no_questions() -> None:
    (problem,) = Filter(name="verified", method="verified").problems(mixed=True)
    assert "filter.student=FOLDER" in problem
    assert not list(Filter("verified", "verified", student="x").problems(mixed=True))
    plain = LLM(_target_="japagen.llm.fake.Fake", name="fake", model="fake")
    with pytest.raises(UserError, match=r"llm=mixed writes datasets.*llm=fake"):
        llm.load(LLM("japagen.llm.mixed.Mixed", "m", "m", writers={"a": plain}))
