"""How a pair is written, the spending limit, and the estimate."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from pathlib import Path

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.journal import JOURNAL, Example
from japagen.llm import fake
from japagen.llm.finish import rejection
from japagen.synthesis import estimate
from japagen.synthesis.draft import Draft, keep
from japagen.synthesis.joint import parse
from japagen.synthesis.plan import Plan, make
from tests.conftest import Compose
from tests.toys import write_toys

LABELLED = "task.wording.turns.sentence1='{label}'"
FILE = CONF.parent / "tests" / "published.json"


def made(composed: Compose, *overrides: str) -> tuple[GenerateConfig, list[Example]]:
    cfg = composed("generate", "num_per_label=4", *overrides)
    generate.run(cfg)
    config = check(cfg, GenerateConfig)
    return config, table.read(identity.of(config))


def plan_of(composed: Compose, *overrides: str) -> Plan:
    config = check(composed("generate", *overrides), GenerateConfig)
    return make(identity.of(config), config.gold_dir)


@pytest.mark.parametrize(
    "copied", ["頼まれた文を一つだけ、自然な日本語で", "次の形で、写真の説明文を一つ"]
)
def test_a_second_text_that_repeats_an_earlier_instruction_is_rejected(
    composed: Compose, copied: str
) -> None:
    plan, draft = plan_of(composed, "task=jnli"), Draft()
    keep(plan, 0, draft, "公園で白い犬が走っています。", "stop")
    assert draft.reason == ""
    keep(plan, 0, draft, f"{copied}書くと犬が走っています。", "stop")
    assert draft.reason == "leak"


def test_a_shared_premise_serves_every_label_of_its_number(
    composed: Compose, sent: list[llm.Request]
) -> None:
    _, examples = made(composed, "prompt.premise=shared")
    by_number: dict[str, set[str]] = {}
    for example in examples:
        by_number.setdefault(example.id[-6:], set()).add(example.texts[0])
    assert len(by_number) == 4
    assert all(len(premises) == 1 for premises in by_number.values())
    assert len(sent) == 4 * (1 + 3)


@pytest.mark.parametrize(
    ("option", "kept", "asked"),
    [
        # Number 1 is known from the journal, whose first line is a header; 2 and 3 are not.
        ("prompt.premise=shared", 6, 7 + 2),
        ("prompt.joint=labels", 5, 2),
    ],
)
def test_what_labels_share_survives_a_restart(
    composed: Compose, sent: list[llm.Request], option: str, kept: int, asked: int
) -> None:
    cfg = composed("generate", "num_per_label=4", option, "llm.concurrency=1")
    config = check(cfg, GenerateConfig)
    generate.run(cfg)
    whole = (identity.of(config).folder / table.TABLE).read_bytes()
    journal = identity.of(config).folder / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    lines = [line for line in lines if b"total_seconds" not in line]
    (identity.of(config).folder / table.MANIFEST).unlink()
    journal.write_bytes(b"".join(lines[:kept]))
    sent.clear()
    generate.run(cfg)
    assert (identity.of(config).folder / table.TABLE).read_bytes() == whole
    assert len(sent) == asked


def test_joint_writes_both_sentences_in_one_reply(
    composed: Compose, sent: list[llm.Request]
) -> None:
    _, examples = made(composed, "prompt.joint=inputs")
    assert len(examples) == len(sent) == 12
    assert sent[0].schema is not None
    assert list(sent[0].schema["properties"]) == ["sentence1", "sentence2"]
    assert all(len(example.texts) == 2 for example in examples)


def test_a_joint_reply_has_one_text_of_each_label(
    composed: Compose, sent: list[llm.Request]
) -> None:
    _, examples = made(composed, "prompt.joint=labels")
    labels = ["entailment", "contradiction", "neutral"]
    assert list(sent[0].schema["properties"]) == ["sentence1", *labels]  # type: ignore[index]
    asked = sent[0].messages[-1]["content"]
    assert all(f"- {key}：" in asked for key in ["sentence1", *labels])
    assert len(sent) == 4
    for number in range(4):
        three = examples[3 * number : 3 * number + 3]
        assert [example.label for example in three] == labels
        assert len({example.texts[0] for example in three}) == 1
        assert len({example.texts[1] for example in three}) == 3


def test_single_texts_of_a_joint_reply_and_their_shots(
    composed: Compose, sent: list[llm.Request], tmp_path: Path
) -> None:
    write_toys(tmp_path)
    words = ["task=jcola", "prompt.joint=labels", "shots=2", f"gold_dir={tmp_path}"]
    _, examples = made(composed, *words)
    assert len(examples) == 8
    assert len(sent) == 4
    answers = [turn["content"] for turn in sent[0].messages if turn["role"] == "assistant"]
    assert [list(json.loads(answer)) for answer in answers] == [["unacceptable", "acceptable"]] * 2


def test_a_joint_reply_may_copy_the_shots_of_no_label(composed: Compose, tmp_path: Path) -> None:
    write_toys(tmp_path)
    words = ["task=jcola", "prompt.joint=labels", "shots=2", f"gold_dir={tmp_path}"]
    plan = plan_of(composed, *words)
    for label in plan.dataset.task.labels:
        draft = Draft()
        keep(plan, 0, draft, plan.shots[label][0].texts[0], "stop")
        assert draft.reason == "copied"


def test_a_rejected_text_of_a_joint_reply_is_asked_for_alone(
    composed: Compose, sent: list[llm.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fake.reply

    def reply(request: llm.Request, draw: random.Random) -> str:
        text = whole(request, draw)
        if request.schema is None:
            return text
        return json.dumps({**json.loads(text), "neutral": "no"}, ensure_ascii=False)

    monkeypatch.setattr(fake, "reply", reply)
    _, examples = made(composed, "prompt.joint=labels")
    assert len(examples) == 12
    alone = [request for request in sent if request.schema is None]
    assert len(alone) == 4 * 2, "two turns for each neutral example"


@pytest.mark.parametrize("finish", ["length", "content_filter", "error"])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_labels_of_a_reply_that_is_not_complete_are_rejected_for_the_same_reason(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, finish: str, concurrency: int
) -> None:
    """Also those that read it from the journal, so that no order of arrival changes the rows."""

    class Stopped(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            reply = await super().complete(request)
            if request.schema is None:
                return reply
            text = reply.text[:-1] if finish == "length" else reply.text
            return dataclasses.replace(reply, text=text, finish=finish)

    monkeypatch.setattr(fake, "Fake", Stopped)
    config, examples = made(composed, "prompt.joint=labels", f"llm.concurrency={concurrency}")
    manifest = table.read_manifest(identity.of(config).folder)
    assert len(examples) == 12
    assert manifest is not None
    reason = rejection(finish)
    assert {found[reason] for found in manifest["rejected"].values()} == {4}


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ('{"a": "x", "b": "y"}', ["x", "y"]),
        ('```json\n{"b": "y", "a": "x"}\n```', ["x", "y"]),
        ('{"a": "x"}', None),
        ('{"a": "x", "b": 3}', None),
        ('{"a": "x", "b": "y', None),
        ("ありません", None),
        ("[1, 2]", None),
        ('{"a": ' + "[" * 20_000 + "}", None),  # deeper than Python's reader goes
    ],
)
def test_parse_joint(reply: str, texts: list[str] | None) -> None:
    assert parse(reply, ["a", "b"]) == texts


@pytest.mark.slow
def test_the_spending_limit_stops_and_can_be_raised(composed: Compose) -> None:
    prices = ["llm.price_prompt=1000", "llm.price_completion=2000"]
    with pytest.raises(
        UserError,
        match=r"spending limit llm\.max_cost=1\.0 US dollars is reached: .* add llm\.max_cost=2",
    ):
        made(composed, *prices, "llm.max_cost=1.0")
    config, examples = made(composed, *prices, "llm.max_cost=1000")
    assert len(examples) == 12
    manifest = table.read_manifest(identity.of(config).folder)
    assert manifest is not None
    assert manifest["cost"] == pytest.approx(
        (manifest["prompt_tokens"] * 1000 + manifest["completion_tokens"] * 2000) / 1e6
    )


@pytest.mark.slow
def test_an_estimate_is_a_sample_from_which_the_job_goes_on(
    composed: Compose, sent: list[llm.Request], capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = composed(
        "generate",
        "num_per_label=100",
        "estimate=true",
        "llm.concurrency=1",
        "llm.price_prompt=1",
        "llm.price_completion=2",
    )
    generate.run(cfg)
    output = capsys.readouterr().out
    assert "Estimate for 288 more examples, from 12 replies" in output
    assert re.search(r"completion tokens +[\d,]+  \([\d,]+ to [\d,]+\)", output)
    assert "cost in US dollars" in output
    assert len(sent) == 24
    assert table.read_manifest(identity.of(check(cfg, GenerateConfig)).folder) is None
    generate.run(
        composed("generate", "num_per_label=100", "estimate=true", "llm.concurrency=64", "seed=1")
    )
    assert len(sent) == 48, "no more than the sample is drawn, however many could be in flight"
    sent.clear()
    generate.run(composed("generate", "num_per_label=100", "llm.concurrency=1"))
    assert len(sent) == 2 * (300 - 12), "the sample's replies were not asked for again"


def test_an_estimate_is_right_for_equal_replies_and_wide_for_unequal_ones() -> None:
    even = estimate.total([10.0] * 20, [True] * 20, 100)
    assert even == estimate.Range(1000, 1000, 1000)
    uneven = estimate.total([5.0, 15.0] * 10, [True, False] * 10, 100)
    assert uneven is not None
    assert uneven.expected == 2000
    assert uneven.low < 2000 < uneven.high
    assert estimate.total([1.0], [False], 5) is None


def test_shots_of_all_labels(composed: Compose, tmp_path: Path) -> None:
    gold = tmp_path / "gold.csv"
    rows = [
        f"{label}の前提{i}です,{label}の仮説{i}です,{label}"
        for label in ("entailment", "contradiction", "neutral")
        for i in range(3)
    ]
    gold.write_text("\n".join(["sentence1,sentence2,label", *rows]), encoding="utf-8")
    source = [
        "task.gold.format=csv",
        f"task.gold.train=[{gold}]",
        f"gold_dir={tmp_path}",
        "shots=2",
        "~task.gold.columns.id",
    ]
    one = plan_of(composed, *source)
    both = plan_of(composed, *source, "shots_scope=all")
    assert len(one.request(0, 0, []).messages) == 1 + 2 * 2 * 2 + 1
    assert len(both.request(0, 0, []).messages) == 1 + 3 * 2 * 2 * 2 + 1
    assert {shot.label for _, shot in one.shown(0)} == {"entailment"}
    assert both.shown(0) == both.shown(1)


def test_a_published_prompt_file_is_used_as_it_is(
    composed: Compose, sent: list[llm.Request]
) -> None:
    config, examples = made(
        composed, "prompt=japagen_json", f"prompt.path={FILE}", "llm.concurrency=1"
    )
    assert len(examples) == 12
    assert sent[0].messages[0]["content"] == "あなたは写真の説明文を書くライターです。"
    firsts = {request.messages[1]["content"] for request in sent}
    assert firsts == {
        f"{thing}が写っている写真を説明する文を書いてください。" for thing in ("自転車", "帽子")
    }
    assert sent[1].messages[3]["content"] == "いまの文から必ず言える文を書いてください。"
    assert config.task.knowledge is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {}}, "has no `labels.entailment.instruction`"),
        ({"content": ""}, "has no text under `content`"),
        ({"labels": None}, "not in the published format"),
    ],
)
def test_a_faulty_prompt_file_is_named(
    composed: Compose, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "prompt.json"
    path.write_text(
        json.dumps({**json.loads(FILE.read_text(encoding="utf-8")), **change}), encoding="utf-8"
    )
    with pytest.raises(UserError, match=message):
        check(composed("generate", "prompt=japagen_json", f"prompt.path={path}"), GenerateConfig)


@pytest.mark.slow
def test_an_absent_or_torn_prompt_file_is_named(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        check(composed("generate", "prompt=japagen_json", "prompt.path=no.json"), GenerateConfig)
    (tmp_path / "torn.json").write_text('{"content": ', encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        check(
            composed("generate", "prompt=japagen_json", f"prompt.path={tmp_path}/torn.json"),
            GenerateConfig,
        )
    with pytest.raises(UserError, match=r"add prompt\.path=FILE"):
        check(composed("generate", "prompt=japagen_json"), GenerateConfig)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task=jcola", "prompt.joint=inputs"], "prompt.joint=inputs is for pairs"),
        (["prompt.joint=true"], "prompt.joint is 'True'; allowed: none, inputs (both"),
        (["prompt.joint=labels", "shots=1"], "do not share a sentence 1: use shots=0"),
        (["prompt.premise=shared", "prompt.joint=labels"], "drop one of them"),
        (["prompt.feedback=2", "prompt.joint=labels"], "rows of one label: drop one of them"),
        (["task=jcola", "prompt.premise=shared"], "prompt.premise=shared is for pairs"),
        (["prompt.premise=shared", LABELLED], "writes one sentence1 for all labels"),
        (["prompt.joint=labels", LABELLED], "writes one sentence1 for all labels"),
        (["prompt.premise=share"], "allowed: per_label, shared"),
        (["prompt.premise=shared", "prompt.joint=inputs"], "drop one of them"),
        (["prompt.premise=shared", "shots=1"], "add shots_scope=all"),
        (["llm.max_cost=1"], "llm.max_cost needs prices"),
        (["shots_scope=each"], "allowed: label, all"),
    ],
)
def test_options_that_cannot_hold_together(
    composed: Compose, overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        check(composed("generate", *overrides), GenerateConfig)


def test_a_copied_shot_is_rejected(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Copying(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            reply = await super().complete(request)
            return (
                llm.Completion("空は青く晴れています", "stop", 1, 1) if request.seed % 2 else reply
            )

    monkeypatch.setattr(fake, "Fake", Copying)
    gold = tmp_path / "gold.csv"
    rows = [
        f"空は青く晴れています。,空の様子{i}です,{label}"
        for label in ("entailment", "contradiction", "neutral")
        for i in range(2)
    ]
    gold.write_text("\n".join(["sentence1,sentence2,label", *rows]), encoding="utf-8")
    source = [
        "task.gold.format=csv",
        f"task.gold.train=[{gold}]",
        f"gold_dir={tmp_path}",
        "~task.gold.columns.id",
    ]
    config, examples = made(composed, *source, "shots=1")
    assert not any("青く晴れ" in text for example in examples for text in example.texts)
    manifest = table.read_manifest(identity.of(config).folder)
    assert manifest is not None
    assert manifest["rejected_by_reason"]["copied"] > 0
