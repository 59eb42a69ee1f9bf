"""Label filters, with an LLM that writes wrong labels at a known rate and recognises them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import re
from collections import Counter
from typing import Any, ClassVar

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import Filter, GenerateConfig
from japagen.dataset import identity, table
from japagen.gold.example import Example
from japagen.gold.fetch import GoldMissing
from japagen.llm import fake
from japagen.synthesis import reliability
from japagen.synthesis.verification import LLMVerifier
from tests.conftest import Compose
from tests.toys import write_rows

WORDS = {"acceptable": "犬", "unacceptable": "猫"}  # what a text of each label is about
ANSWERS = {"acceptable": "正しい", "unacceptable": "誤り"}
OTHER = {"acceptable": "unacceptable", "unacceptable": "acceptable"}


class Writer(fake.Fake):
    """Writes about a cat or a dog: one of ten texts asked for as `unacceptable` is about a cat.

    Asked for the label, it is `sure` of it; for texts without content it says `acceptable`.
    """

    wrong: ClassVar[dict[str, float]] = {"acceptable": 0.0, "unacceptable": 0.6}
    sure = 0.9
    prior = 0.5  # of `acceptable` for texts without content

    async def complete(self, request: llm.Request) -> llm.Completion:
        asked = request.messages[-1]["content"]
        return self.judge(request, asked) if request.choices else self.write(request, asked)

    def write(self, request: llm.Request, asked: str) -> llm.Completion:
        draw = random.Random(f"{request.seed}")
        label = "unacceptable" if "おかしい" in asked or "間違えた" in asked else "acceptable"
        true = OTHER[label] if draw.random() < self.wrong[label] else label
        return llm.Completion(f"{WORDS[true]}は{fake.sentence(draw)[:-1]}。", "stop", 10, 20)

    def judge(self, request: llm.Request, asked: str) -> llm.Completion:
        true = next((label for label, word in WORDS.items() if asked.startswith(f"文：{word}")), "")
        base = {"acceptable": self.prior, "unacceptable": 1 - self.prior}
        if true:
            base = {
                name: base[name] * (self.sure if name == true else 1 - self.sure) for name in base
            }
        total = sum(base.values())
        top = {ANSWERS[name][:1]: math.log(value / total) for name, value in base.items()}
        said = max(base, key=lambda name: base[name])
        return llm.Completion(ANSWERS[said], "stop", 5, 1, top if request.top else {})


@pytest.fixture(autouse=True)
def writer(monkeypatch: pytest.MonkeyPatch) -> type[Writer]:
    """The LLM of these tests, with its settings restored after each."""

    class Fresh(Writer):
        pass

    monkeypatch.setattr(fake, "Fake", Fresh)
    return Fresh


def made(composed: Compose, *overrides: str) -> tuple[list[Example], dict[str, Any]]:
    cfg = composed("generate", "task=jcola", "num_per_label=20", *overrides)
    generate.run(cfg)
    dataset = identity.of(check(cfg, GenerateConfig))
    manifest = table.read_manifest(dataset.folder)
    assert manifest is not None
    return table.read(dataset), manifest


def share_right(examples: list[Example], label: str) -> float:
    own = [example.texts[0] for example in examples if example.label == label]
    return sum(text.startswith(WORDS[label]) for text in own) / len(own)


def test_without_a_filter_the_wrong_labels_stay(composed: Compose) -> None:
    examples, _ = made(composed)
    assert share_right(examples, "acceptable") == 1.0
    assert 0.2 < share_right(examples, "unacceptable") < 0.6


@pytest.mark.parametrize("rule", ["verified", "relabelled", "soft"])
def test_every_filter_recovers_the_true_labels(composed: Compose, rule: str) -> None:
    examples, manifest = made(composed, f"filter={rule}")
    assert Counter(example.label for example in examples) == {"acceptable": 20, "unacceptable": 20}
    assert all(share_right(examples, label) == 1.0 for label in WORDS)
    given = manifest["confusion"]["unacceptable"]
    assert given["acceptable"] > given["unacceptable"] > 0
    assert manifest["verified"]["acceptable"] == 1.0
    assert manifest["verify_tokens"] > 0


@pytest.mark.slow
def test_relabelled_uses_what_verified_throws_away(composed: Compose) -> None:
    _, verified = made(composed, "filter=verified")
    _, relabelled = made(composed, "filter=relabelled")
    assert verified["rejected"]["unacceptable"]["disagreed"] > 20
    assert relabelled["replies"] < verified["replies"]


def test_soft_keeps_the_distribution_in_the_order_of_the_labels(composed: Compose) -> None:
    cfg = composed("generate", "task=jcola", "num_per_label=4", "filter=soft")
    generate.run(cfg)
    dataset = identity.of(check(cfg, GenerateConfig))
    lines = (dataset.folder / table.SOFT).read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        expected = [0.1, 0.9] if row["id"].startswith("acceptable") else [0.9, 0.1]
        assert row["probabilities"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_calibration_divides_out_a_preferred_label(composed: Compose, writer: type[Writer]) -> None:
    """The LLM gives one label to 99 % of empty texts, so no text can change its answer."""
    writer.prior = 0.99
    with pytest.raises(
        UserError, match=r"(?s)'unacceptable' is hardly ever confirmed.*calibrate=true"
    ):
        made(composed, "filter=verified")
    examples, manifest = made(composed, "filter=verified", "question.calibrate=true")
    assert all(share_right(examples, label) == 1.0 for label in WORDS)
    assert manifest["prior"] == pytest.approx([0.01, 0.99], abs=1e-3)


@pytest.mark.slow
def test_a_label_that_is_never_confirmed_stops_early_and_resumes(
    composed: Compose, writer: type[Writer]
) -> None:
    writer.wrong = {"acceptable": 0.0, "unacceptable": 1.0}
    with pytest.raises(UserError, match="asked about 30 texts written for it and gave acceptable"):
        made(composed, "filter=verified", "llm.concurrency=1")
    with pytest.raises(UserError, match="hardly ever confirmed"):
        made(composed, "filter=relabelled")
    examples, _ = made(
        composed, "filter=verified", "filter.min_confirmed=0", "max_shortfall=0.5", "max_attempts=3"
    )
    assert {example.label for example in examples} == {"acceptable"}


@pytest.mark.slow
def test_min_probability_rejects_what_the_llm_is_not_sure_of(
    composed: Compose, writer: type[Writer]
) -> None:
    writer.sure = 0.7
    with pytest.raises(UserError, match="uncertain"):
        made(composed, "filter=relabelled", "filter.min_probability=0.8", "max_attempts=2")
    assert len(made(composed, "filter=relabelled", "filter.min_probability=0.6")[0]) == 40


@pytest.fixture
def gold_dir(tmp_path: Any) -> str:
    """Gold rows about cats and dogs."""
    rows = [
        {"uid": n, "sentence": f"{'猫犬'[n % 2]}は{n}番目に来た。", "label": n % 2}
        for n in range(40)
    ]
    write_rows(tmp_path / "gold/jcola-v1.0/in_domain_train-v1.0.json", rows)
    return f"gold_dir={tmp_path / 'gold'}"


@pytest.mark.slow
def test_auto_verifies_with_a_reliable_llm_alone(
    composed: Compose, gold_dir: str, writer: type[Writer]
) -> None:
    examples, manifest = made(composed, "filter=auto", "filter.dev_rows=10", gold_dir)
    assert manifest["reliability"]["trusted"]
    assert manifest["reliability"]["recall"] == {"unacceptable": 1.0, "acceptable": 1.0}
    assert share_right(examples, "unacceptable") == 1.0

    writer.prior = 0.99
    examples, manifest = made(composed, "filter=auto", "filter.dev_rows=10", "seed=1", gold_dir)
    assert not manifest["reliability"]["trusted"]
    assert manifest["reliability"]["answered"] == {"unacceptable": 0.0, "acceptable": 1.0}
    assert share_right(examples, "unacceptable") < 0.7
    assert "confusion" not in manifest


def test_auto_without_gold_falls_back_with_a_warning(
    composed: Compose, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        examples, _ = made(composed, "filter=auto", f"gold_dir={tmp_path}")
    assert len(examples) == 40
    assert "falls back to filter=none" in caplog.text


@pytest.mark.slow
def test_auto_without_gold_for_its_shots_falls_back_and_stays_so(
    composed: Compose, tmp_path: Any, gold_dir: str
) -> None:
    """Later rows of a dataset are filtered like its first ones, even if gold has arrived since."""
    words = ["filter=auto", "filter.shots=2", "filter.dev_rows=10"]
    made(composed, *words, f"gold_dir={tmp_path / 'none'}")
    _, manifest = made(composed, *words, gold_dir, "num_per_label=25")
    assert manifest["accepted"] == 50
    assert not manifest["reliability"]["trusted"]
    assert "confusion" not in manifest


@pytest.mark.slow
def test_auto_with_shots_is_not_resumed_without_their_gold(
    composed: Compose, tmp_path: Any, gold_dir: str
) -> None:
    """Rows without verification must not join verified ones."""
    words = ["filter=auto", "filter.shots=2", "filter.dev_rows=10"]
    _, before = made(composed, *words, gold_dir)
    assert before["reliability"]["trusted"]
    with pytest.raises(GoldMissing):
        made(composed, *words, f"gold_dir={tmp_path / 'none'}", "num_per_label=25")
    _, manifest = made(composed, *words, gold_dir, "num_per_label=25")
    assert manifest["reliability"] == before["reliability"]


@pytest.mark.slow
def test_auto_measures_when_gold_arrives_before_the_first_reply(
    composed: Compose, tmp_path: Any, gold_dir: str, writer: type[Writer]
) -> None:
    """A download may fail at first: that decides nothing while there is no reply."""
    write, fails = writer.write, [True]

    def down(self: Writer, request: llm.Request, asked: str) -> llm.Completion:
        if fails:
            raise UserError("the server is down")
        return write(self, request, asked)

    writer.write = down  # type: ignore[method-assign]
    words = ["filter=auto", "filter.dev_rows=10"]
    with pytest.raises(UserError, match="down"):
        made(composed, *words, f"gold_dir={tmp_path / 'none'}")
    fails.clear()
    _, manifest = made(composed, *words, gold_dir)
    assert manifest["reliability"]["trusted"]


@pytest.mark.slow
def test_auto_resumes_without_the_gold_rows_it_was_measured_on(
    composed: Compose, tmp_path: Any, gold_dir: str
) -> None:
    words = ["filter=auto", "filter.dev_rows=10"]
    made(composed, *words, gold_dir)
    _, manifest = made(composed, *words, f"gold_dir={tmp_path / 'none'}", "num_per_label=25")
    assert manifest["reliability"]["trusted"]
    assert sum(map(sum, (row.values() for row in manifest["confusion"].values()))) >= 50


@pytest.mark.parametrize(
    "words", [["filter=soft"], ["filter=verified", "filter.min_probability=0.5"]]
)
def test_an_engine_without_probabilities_stops_a_filter_that_needs_them(
    composed: Compose, writer: type[Writer], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    judge = writer.judge

    def silent(self: Writer, request: llm.Request, asked: str) -> llm.Completion:
        return dataclasses.replace(judge(self, request, asked), top={})

    monkeypatch.setattr(writer, "judge", silent)
    with pytest.raises(UserError, match=r"(?s)rejected: no_probabilities 30.*filter=relabelled"):
        made(composed, *words, "llm.concurrency=1")


def test_what_measuring_the_verifier_costs_is_counted(composed: Compose, gold_dir: str) -> None:
    words = ["filter=verified", "filter.dev_rows=10", "filter.shots=1", "question.calibrate=true"]
    prices = ["llm.price_prompt=1e6", "llm.price_completion=1e6"]
    _, manifest = made(composed, *words, *prices, gold_dir)
    # 20 development rows and 3 texts without content, 5 + 1 tokens each.
    assert manifest["measuring_tokens"] == [115, 23]
    of_replies = manifest["prompt_tokens"] + manifest["completion_tokens"]
    assert manifest["cost"] == of_replies + 138


@pytest.mark.slow
def test_the_cost_of_measuring_is_kept_and_limited(composed: Compose, gold_dir: str) -> None:
    words = ["filter=verified", "filter.dev_rows=10", "llm.price_prompt=1e6", gold_dir]
    for limit in (20, 40):  # 5 US dollars for each question
        with pytest.raises(UserError, match=f"max_cost={limit}.0 US dollars is reached: {limit}"):
            made(composed, *words, f"llm.max_cost={limit}", "llm.concurrency=1")
    dataset = identity.of(check(composed("generate", "task=jcola", *words), GenerateConfig))
    journal = (dataset.folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(journal[-1]) == {"measuring_tokens": [40, 8]}


@pytest.mark.slow
def test_verification_shots_that_have_changed_are_refused(
    composed: Compose, tmp_path: Any, gold_dir: str
) -> None:
    made(composed, "filter=verified", "filter.shots=2", gold_dir)
    rows = [{"uid": n, "sentence": f"{'猫犬'[n % 2]}{n}", "label": n % 2} for n in range(40)]
    write_rows(tmp_path / "gold/jcola-v1.0/in_domain_train-v1.0.json", rows)
    with pytest.raises(UserError, match="was verified with other shots"):
        made(composed, "filter=verified", "filter.shots=2", gold_dir, "num_per_label=25")


@pytest.mark.slow
def test_a_tolerated_level_counts_as_confirmed(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An LLM that is one level off is right as far as filter.tolerance=1 is concerned."""

    class OneOff(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            if request.choices:
                return llm.Completion("1", "stop", 5, 1)
            draw = random.Random(f"{request.seed} {len(request.messages)}")
            return llm.Completion(f"{fake.sentence(draw)[:-1]}。", "stop", 10, 20)

    monkeypatch.setattr(fake, "Fake", OneOff)
    words = ["task=jsts", "filter=verified", "filter.tolerance=1", "filter.check_after=5"]
    with pytest.raises(UserError, match=r"Label '[345]' is hardly ever confirmed"):
        made(composed, *words, "llm.concurrency=1")
    _, manifest = made(
        composed, *words, "filter.min_confirmed=0", "max_attempts=2", "max_shortfall=1"
    )
    assert manifest["verified"]["0"] == manifest["verified"]["2"] == 1.0
    assert manifest["verified"]["5"] == 0.0


@pytest.mark.slow
def test_a_tolerance_does_not_make_a_constant_answer_reliable(
    composed: Compose, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Constant(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            return llm.Completion("2", "stop", 5, 1)

    monkeypatch.setattr(fake, "Fake", Constant)
    task = check(composed("generate", "task=jsts"), GenerateConfig).task
    rule = Filter(method="auto", tolerance=2, dev_rows=2)
    rows = [Example(f"{n}", (f"犬{n}", "猫"), float(n // 2)) for n in range(12)]
    ask = fake.Fake(check(composed("generate", "task=jsts"), GenerateConfig).llm).complete
    found = asyncio.run(
        reliability.measure(LLMVerifier(ask, task, chat=True), rows, rule, task, concurrency=2)
    )
    assert found["balanced_accuracy"] == pytest.approx(5 / 6, abs=1e-4)
    assert not found["trusted"]


def test_the_missing_examples_of_a_label_say_what_became_of_its_replies(
    composed: Compose, writer: type[Writer]
) -> None:
    writer.wrong = {"acceptable": 0.0, "unacceptable": 0.95}
    with pytest.raises(UserError, match=r"unacceptable: \d+ missing; rejected: relabelled \d+"):
        made(composed, "filter=relabelled", "filter.min_confirmed=0", "max_attempts=2")


@pytest.mark.slow
def test_an_estimate_leaves_out_the_time_to_measure_the_verifier(
    composed: Compose, gold_dir: str, writer: type[Writer], capsys: pytest.CaptureFixture[str]
) -> None:
    judge, slow = writer.complete, 0.25

    async def complete(self: Writer, request: llm.Request) -> llm.Completion:
        asked = request.messages[-1]["content"]
        if "番目に来た" in asked:  # a gold row
            await asyncio.sleep(slow)
        return await judge(self, request)

    writer.complete = complete  # type: ignore[method-assign]
    words = ["filter=verified", "filter.dev_rows=10", "estimate=true", "llm.concurrency=1"]
    generate.run(composed("generate", "task=jcola", "num_per_label=20", *words, gold_dir))
    printed = capsys.readouterr().out
    found = re.search(r"time +0 min (\d\d) s", printed)
    # The gold rows alone took 5 s; with them, 30 examples would take 20 s.
    assert found, printed
    assert int(found[1]) < 10, printed
