"""The prompting baseline: its journal, resuming, and what counts as an answer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from japagen import llm
from japagen.command import evaluate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, EvaluateConfig
from japagen.evaluation import prompting
from japagen.gold import load
from japagen.gold.example import Example
from japagen.llm.retry import Retry
from tests.conftest import Compose
from tests.toys import write_rows

ROWS = 30
LABELS = ["entailment", "contradiction", "neutral"]


@pytest.fixture
def gold_dir(tmp_path: Path) -> Path:
    """JNLI's and JSTS's files with a few rows."""
    for part in ("train", "valid"):
        rows = [
            {
                "sentence_pair_id": n,
                "sentence1": f"{part}の前提{n}です。",
                "sentence2": f"仮説{n}です。",
                "label": LABELS[n % 3],
            }
            for n in range(ROWS)
        ]
        write_rows(tmp_path / f"gold/jnli-v1.3/{part}-v1.3.json", rows)
        write_rows(
            tmp_path / f"gold/jsts-v1.3/{part}-v1.3.json",
            [{**row, "label": n % 6} for n, row in enumerate(rows)],
        )
    return tmp_path / "gold"


def folder(cfg: DictConfig) -> Path:
    """Where the answers of a job are."""
    config = check(cfg, EvaluateConfig)
    asked = prompting.Prompting(
        config.task,
        config.llm,
        config.shots,
        config.seed,
        config.max_chars,
        config.gold_dir,
        config.answer_dir,
    )
    return asked.folder()


def lines(cfg: DictConfig, name: str = prompting.PREDICTIONS) -> list[dict[str, Any]]:
    path = folder(cfg) / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_gold_row_is_asked_about_once(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    sent: list[llm.Request],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cfg = composed(
        "evaluate", f"gold_dir={gold_dir}", "llm.price_prompt=1", "llm.price_completion=2"
    )
    score = evaluate.run(cfg)
    rows = lines(cfg)
    assert [row["id"] for row in rows] == [str(n) for n in range(ROWS)]
    share = sum(row["gold"] == row["predicted"] for row in rows) / ROWS
    assert score == recorded["test/accuracy"] == share
    assert recorded["score"] == round(share, 4)
    assert recorded["majority/accuracy"] == pytest.approx(1 / 3)
    assert recorded["test/unparsed"] == 0.0
    assert sum(recorded[f"predicted/{label}"] for label in LABELS) == pytest.approx(1.0)
    tokens = recorded["prompt_tokens"], recorded["completion_tokens"]
    assert recorded["cost/dollars_per_1000"] == pytest.approx(
        (tokens[0] + 2 * tokens[1]) / 1e6 / ROWS * 1000
    )
    assert recorded["evaluate/examples_per_second"] == pytest.approx(
        1000 / recorded["cost/seconds_per_1000"]
    )
    assert "answers: answers/jnli/fake-0shot-seed0-" in capsys.readouterr().out
    assert len(sent) == ROWS
    # The same command again: the journal answers.
    recorded.clear()
    assert evaluate.run(cfg) == score
    assert len(sent) == ROWS
    assert "evaluate/seconds" not in recorded
    assert recorded["cost/seconds_per_1000"] > 0


@pytest.mark.slow
def test_a_part_of_gold_has_no_score_and_is_gone_on_from(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    sent: list[llm.Request],
    caplog: pytest.LogCaptureFixture,
) -> None:
    cfg = composed("evaluate", f"gold_dir={gold_dir}", "limit=10")
    evaluate.run(cfg)
    assert not [
        name
        for name in recorded
        if name.startswith("test/") or name in ("score", "majority/accuracy")
    ]
    assert "partial/accuracy" in recorded
    part = lines(cfg)
    assert len(part) == len(sent) == 10
    caplog.set_level("INFO")
    cfg = composed("evaluate", f"gold_dir={gold_dir}")
    evaluate.run(cfg)
    assert len(sent) == ROWS
    assert "10 of 30 rows are answered, 20 to go" in caplog.text
    assert all(row in lines(cfg) for row in part)


@pytest.mark.slow
def test_killed_and_gone_on_gives_the_same(
    composed: Compose, gold_dir: Path, sent: list[llm.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = composed("evaluate", f"gold_dir={gold_dir}")
    evaluate.run(cfg)
    whole = lines(cfg)
    cfg = composed("evaluate", f"gold_dir={gold_dir}", "answer_dir=again")
    sent.clear()

    async def stop(dispatched: Retry, request: llm.Request) -> llm.Completion:
        if len(sent) > 12:
            raise KeyboardInterrupt
        return await dispatched.engine.complete(request)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Retry, "answer", stop)
        evaluate.run(cfg)
    journal = folder(cfg) / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"id": "3", "ro')
    kept = journal.read_text(encoding="utf-8").count('"reply"')
    assert 0 < kept < ROWS
    sent.clear()
    evaluate.run(cfg)
    assert len(sent) == ROWS - kept
    assert lines(cfg) == whole


def test_an_edited_row_is_asked_about_again(
    composed: Compose, gold_dir: Path, sent: list[llm.Request]
) -> None:
    cfg = composed("evaluate", f"gold_dir={gold_dir}")
    evaluate.run(cfg)
    path = gold_dir / "jnli-v1.3/valid-v1.3.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace(
            json.dumps("仮説7です。"), json.dumps("別の仮説です。")
        ),
        encoding="utf-8",
    )
    evaluate.run(cfg)
    assert len(sent) == ROWS + 1


def test_shots_of_all_labels_are_shown_in_a_mixed_order(
    composed: Compose, gold_dir: Path, sent: list[llm.Request]
) -> None:
    cfg = composed("evaluate", f"gold_dir={gold_dir}", "shots=4", "limit=2")
    evaluate.run(cfg)
    answers = [message["content"] for message in sent[0].messages if message["role"] == "assistant"]
    assert Counter(answers) == {"含意": 4, "矛盾": 4, "中立": 4}
    assert answers != sorted(answers)
    assert all(
        "trainの前提" in message["content"]
        for message in sent[0].messages[1:-1]
        if message["role"] == "user"
    )
    assert sent[0].messages[:-1] == sent[1].messages[:-1], (
        "what is shown before is the same, so that a prefix cache holds"
    )
    assert folder(cfg).name.startswith("fake-4shot-seed0-")


def test_a_base_model_gets_a_text(
    composed: Compose, gold_dir: Path, sent: list[llm.Request]
) -> None:
    evaluate.run(composed("evaluate", f"gold_dir={gold_dir}", "llm.chat=false", "limit=2"))
    assert all(request.text and not request.messages for request in sent)


@pytest.mark.slow
def test_answers_that_cannot_be_read_are_wrong_and_counted(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cfg = composed("evaluate", f"gold_dir={gold_dir}", "llm.engine.malformed_rate=0.5")
    evaluate.run(cfg)
    rows = lines(cfg)
    unread = sum(row["predicted"] is None for row in rows)
    assert 0 < unread < ROWS
    assert recorded["test/unparsed"] == unread / ROWS
    assert recorded["test/accuracy"] <= 1 - unread / ROWS
    assert (
        f"{unread} of {ROWS} answers could not be read and count as wrong"
        in capsys.readouterr().out
    )
    evaluate.run(
        composed("evaluate", "task=jsts", f"gold_dir={gold_dir}", "llm.engine.malformed_rate=1.0")
    )
    assert recorded["score"] == 0.0


def test_a_regression_answer_is_the_mean_of_the_levels(
    composed: Compose, gold_dir: Path, recorded: dict[str, float]
) -> None:
    cfg = composed("evaluate", "task=jsts", f"gold_dir={gold_dir}")
    evaluate.run(cfg)
    first, answer = lines(cfg)[0], lines(cfg, "journal.jsonl")[1]
    chosen = next(row for row in lines(cfg) if row["id"] == answer["id"])["predicted"]
    # The fake is half sure: half of its level, and a tenth of each other.
    level = float(answer["reply"])
    assert chosen == pytest.approx(0.5 * level + 0.1 * (15 - level), abs=1e-3)
    assert isinstance(first["predicted"], float)
    assert recorded["score"] == round(recorded["test/spearman"], 4)
    assert "majority/accuracy" not in recorded


@pytest.mark.slow
def test_the_spending_limit_stops_and_keeps(
    composed: Compose, gold_dir: Path, sent: list[llm.Request]
) -> None:
    words = [f"gold_dir={gold_dir}", "llm.price_prompt=1000", "llm.concurrency=1"]
    with pytest.raises(
        UserError,
        match=r"llm.max_cost=0.3 .* All answers are stored; to continue, add llm.max_cost=0.6",
    ):
        evaluate.run(composed("evaluate", *words, "llm.max_cost=0.3"))
    before = len(sent)
    assert 0 < before < ROWS
    evaluate.run(composed("evaluate", *words))
    assert len(sent) == ROWS


def test_dry_run_shows_questions_and_writes_nothing(
    composed: Compose, gold_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.run(
        composed(
            "evaluate",
            f"gold_dir={gold_dir}",
            "dry_run=true",
            "llm._target_=no.such.Engine",
            "allowed_targets=[no]",
        )
    )
    assert "validの前提0です。" in capsys.readouterr().out
    assert not Path("answers").exists()


def test_an_unknown_subject_is_named(composed: Compose) -> None:
    with pytest.raises(UserError, match=r"subject is 'promting'; allowed: .*did you mean 'prompt"):
        evaluate.run(composed("evaluate", "subject=promting"))


@pytest.mark.parametrize("reply", ["<think>文1が本当なら矛盾", "分析中\ufffd含意"])
def test_reasoning_cut_off_names_no_label(
    reply: str,
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(_dispatched: Retry, _request: llm.Request) -> llm.Completion:
        return llm.Completion(reply, "length", 1, 1)

    monkeypatch.setattr(Retry, "answer", answer)
    evaluate.run(composed("evaluate", f"gold_dir={gold_dir}"))
    assert recorded["test/unparsed"] == 1.0


def test_a_lone_surrogate_in_an_answer_is_stored(
    composed: Compose, gold_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(_dispatched: Retry, _request: llm.Request) -> llm.Completion:
        return llm.Completion("含意\ud83d", "stop", 1, 1)

    monkeypatch.setattr(Retry, "answer", answer)
    cfg = composed("evaluate", f"gold_dir={gold_dir}")
    evaluate.run(cfg)
    assert lines(cfg, "journal.jsonl")[1]["reply"] == "含意\ud83d"
    assert lines(cfg)[0]["predicted"] is None


def test_without_gold_the_way_to_it_is_named(composed: Compose) -> None:
    with pytest.raises(UserError, match="JAPAGEN_DATA"):
        evaluate.run(composed("evaluate", "task=marc_ja"))


def test_a_higher_limit_keeps_the_rows_of_a_lower_one() -> None:
    rows = [Example(str(n), ("文",), "a") for n in range(50)]
    few, more = load.sample(rows, 5, 3), load.sample(rows, 20, 3)
    assert all(row in more for row in few)
    assert more == sorted(more, key=lambda row: int(row.id))
    assert load.sample(rows, None, 3) == rows


@pytest.mark.slow
def test_prompting_imports_no_training_library(gold_dir: Path, tmp_path: Path) -> None:
    words = [
        str(CONF.parent / "evaluate.py"),
        "task=jnli",
        "llm=fake",
        "logger=none",
        f"gold_dir={gold_dir}",
    ]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test/accuracy" in done.stdout
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "sklearn" in imported
    assert not imported & {"torch", "lightning", "transformers", "mlflow"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "words", [["task=jnli", "llm=qwen2_5_coder_1_5b"], ["task=jsts", "llm=gemma3_270m", "shots=1"]]
)
def test_the_embedded_models_answer_with_a_label(
    composed: Compose,
    gold_dir: Path,
    words: list[str],
    recorded: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JAPAGEN_CACHE")
    cfg = composed("evaluate", f"gold_dir={gold_dir}", "limit=20", *words)
    evaluate.run(cfg)
    assert recorded["partial/unparsed"] == 0.0
    assert recorded["evaluate/examples_per_second"] > 0
    answers = [line for line in lines(cfg, "journal.jsonl") if "reply" in line]
    assert len(answers) == 20
    assert "task=jsts" not in words or all(line["tokens"][1] == 1 for line in answers)
    assert all(("top" in line) == ("task=jsts" in words) for line in answers)
