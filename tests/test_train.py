"""Training of the student `tiny`, from the config to the saved folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import pipeline

from japagen import tracking
from japagen.command import train
from japagen.config.error import UserError
from japagen.config.schema import CONF, Trainer
from japagen.gold.example import Example
from japagen.job import hub
from japagen.student.batch import Buckets
from japagen.training import module
from japagen.training.sources import synthetic
from japagen.training.trainer import length, precision
from tests.conftest import Compose
from tests.toys import FAST, saved, sentences


def predictions() -> list[dict[str, Any]]:
    """The rows of the saved student's predictions.jsonl."""
    return [
        json.loads(line)
        for line in (saved() / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def test_a_student_learns_is_saved_and_opens_with_transformers(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cfg = composed("train", "task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST)
    assert train.run(cfg) == 1.0
    assert (
        recorded["test/mcc"]
        == recorded["test/accuracy"]
        == recorded["test/macro_f1"]
        == recorded["score"]
        == 1.0
    )
    assert recorded["majority/accuracy"] == 0.5
    assert {"train/loss", "valid/loss", "valid/mcc", "train/seconds"} <= set(recorded)
    assert recorded["train/examples_per_second"] > 0
    text = capsys.readouterr().out
    assert f"student: {saved()}" in text
    assert "NOT" not in text
    assert re.search(r"seconds +│ \d+ \(training \d+\)", text)
    rows, texts = predictions(), [text for text, _ in sentences(40, 1)]
    opened = pipeline("text-classification", str(saved()))(texts)
    assert (
        [found["label"] for found in opened]
        == [row["predicted"] for row in rows]
        == [row["gold"] for row in rows]
    )
    assert [found["score"] for found in opened] == pytest.approx(
        [row["probability"] for row in rows], abs=1e-4
    )
    card = json.loads((saved() / "japagen.json").read_text(encoding="utf-8"))
    assert card["task"]["labels"] == ["unacceptable", "acceptable"]
    # The same seed gives the same student and replaces the first.
    assert train.run(cfg) == 1.0
    assert predictions() == rows


@pytest.mark.slow
def test_regression_predicts_on_the_scale_of_the_task(
    composed: Compose, gold_dir: Path, recorded: dict[str, float]
) -> None:
    assert (
        train.run(composed("train", "task=jsts", "data=gold", f"gold_dir={gold_dir}", *FAST)) > 0.8
    )
    assert recorded["score"] == round(recorded["test/spearman"], 4)
    assert "majority/accuracy" not in recorded
    rows = predictions()
    assert 0.5 < min(row["predicted"] for row in rows) < max(row["predicted"] for row in rows) < 4.5
    pairs = [{"text": text, "text_pair": "犬。"} for text, _ in sentences(40, 1)]
    opened = [
        found["score"]
        for found in pipeline("text-classification", str(saved()), function_to_apply="none")(pairs)
    ]
    assert opened == pytest.approx([row["predicted"] for row in rows], abs=1e-3)


@pytest.mark.slow
def test_without_gold_there_is_no_score(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    recorded: dict[str, float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = ["unacceptable", "acceptable"]
    rows = [
        Example(f"{labels[y]}-{n}", (text,), labels[y])
        for n, (text, y) in enumerate(sentences(48, 0))
    ]
    monkeypatch.setattr(synthetic, "read", lambda _origin: rows)
    value = train.run(composed("train", "task=jcola", "gold_dir=nowhere", *FAST))
    assert value == recorded["heldout/mcc"]
    assert not [
        name
        for name in recorded
        if name.startswith("test/") or name in ("score", "majority/accuracy")
    ]
    text = capsys.readouterr().out
    assert "This score is NOT on gold rows but on synthetic rows kept for it." in text
    assert "JAPAGEN_DATA" in text


@pytest.mark.slow
def test_a_nan_loss_stops_the_job_with_advice(composed: Compose, gold_dir: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"The loss is (nan|inf) at step \d+.*Lower student.learning_rate \(now 1e\+30\)",
    ):
        train.run(
            composed(
                "train",
                "task=jcola",
                "data=gold",
                f"gold_dir={gold_dir}",
                "student.learning_rate=1e30",
                *FAST,
            )
        )
    assert list(Path("students").iterdir()) == []


@pytest.mark.slow
def test_an_interrupt_is_raised_as_an_interrupt(
    composed: Compose, gold_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Module, "training_step", stop)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train.run(composed("train", "task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST))
    assert signal.getsignal(signal.SIGINT) is handler
    assert list(Path("students").iterdir()) == []


@pytest.mark.slow
def test_every_epoch_has_a_different_order(
    composed: Compose, gold_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[list[list[int]]] = []
    batches = Buckets.__iter__

    def listed(self: Buckets) -> Iterator[list[int]]:
        orders.append(list(batches(self)))
        return iter(orders[-1])

    monkeypatch.setattr(Buckets, "__iter__", listed)
    train.run(
        composed(
            "train",
            "task=jcola",
            "data=gold",
            f"gold_dir={gold_dir}",
            *FAST,
            "trainer.min_steps=0",
            "trainer.max_epochs=2",
        )
    )
    assert len(orders) == 2
    assert orders[0] != orders[1]


@pytest.mark.slow
def test_the_debug_trainer_runs_one_batch_of_everything(composed: Compose, gold_dir: Path) -> None:
    train.run(
        composed(
            "train",
            "task=jsts",
            "data=gold",
            f"gold_dir={gold_dir}",
            "student=tiny",
            "trainer=debug",
        )
    )
    assert len(predictions()) == 32


def test_few_rows_get_more_epochs_and_many_rows_fewer() -> None:
    trainer = Trainer(name="t", max_epochs=10, min_steps=200, max_steps=1000)
    assert length(trainer, 6) == (36, 4)
    assert length(trainer, 50) == (10, 1)
    assert length(trainer, 300) == (3, 1)
    assert length(trainer, 5000) == (1, 1)
    assert length(Trainer(name="t", max_epochs=7), 5000) == (7, 1)


def test_a_given_precision_is_used() -> None:
    assert precision({"precision": "64-true"}) == "64-true"
    assert precision({"precision": "auto", "accelerator": "mps"}) == "32-true"
    assert precision({"accelerator": "cpu"}) in ("bf16-mixed", "32-true")


@pytest.mark.slow
def test_seeds_use_the_same_rows_with_different_splits_and_heads(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[str] = []
    load = train.ready
    monkeypatch.setattr(
        train, "ready", lambda student, task: (loads.append(student.name), load(student, task))[1]
    )
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST, "trainer.min_steps=20"]
    mean = train.run(composed("train", *words, "seeds=[1,2]"))
    assert loads == ["tiny"]
    assert recorded["seeds/mean"] == mean
    assert recorded["seeds/number"] == 2
    assert "over 2 seeds" in capsys.readouterr().out
    weights = {
        folder.name.split("-seed")[1][0]: (folder / "model.safetensors").read_bytes()
        for folder in Path("students").iterdir()
    }
    assert set(weights) == {"1", "2"}
    assert weights["1"] != weights["2"]
    # A seed gives the same student alone and together with other seeds.
    train.run(composed("train", *words, "seeds=[2]"))
    assert weights["2"] == next(Path("students").glob("*-seed2-*/model.safetensors")).read_bytes()


@pytest.mark.slow
def test_out_of_memory_is_one_message(
    composed: Compose, gold_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(module.Module, "training_step", full)
    with pytest.raises(
        UserError,
        match=r"batches of 8 rows .* data.batch_size=4 \+trainer.options.accumulate_grad_batches=2",
    ):
        train.run(composed("train", "task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST))


@pytest.mark.slow
def test_a_search_can_use_the_validation_score(
    composed: Compose, gold_dir: Path, recorded: dict[str, float]
) -> None:
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", "student=tiny", "trainer=debug"]
    score = train.run(composed("train", *words, "objective=valid"))
    assert score == recorded["valid/best"] == recorded["valid/mcc"]


@pytest.mark.slow
def test_two_processes_train_one_student(composed: Compose, gold_dir: Path, tmp_path: Path) -> None:
    words = [
        "task=jcola",
        "data=gold",
        f"gold_dir={gold_dir}",
        *FAST,
        "hydra.run.dir=outputs",
        f"mlflow_uri=sqlite:///{tmp_path}/m.db",
    ]
    both = [
        "trainer=ddp",
        "trainer.options.accelerator=cpu",
        "trainer.options.devices=2",
        "trainer.max_epochs=4",
        "trainer.min_steps=100",
    ]
    command = [sys.executable, str(CONF.parent / "train.py"), *words, *both]
    command.remove("trainer=cpu")
    environment = {**os.environ, "JAPAGEN_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("test/mcc") == 1
    assert "1.0000" in done.stdout
    assert len([row for row in predictions() if row["gold"] == row["predicted"]]) == 40
    assert len(tracking.recorded(f"sqlite:///{tmp_path}/m.db")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+trainer.options.devies=1"], r"devies is not an option .*did you mean 'devices'"),
        (["+trainer.options.num_nodes=abc"], "num_nodes is abc; allowed: a whole number from 1"),
        (["+trainer.options.limit_predict_batches=2"], r"use data\.test_limit=NUMBER"),
        (["+trainer.options.accumulate_grad_batches=0"], "accumulate_grad_batches is 0; allowed"),
        (["trainer.options.precision=7"], r"lightning.Trainer refuses .*precision=7"),
        (["trainer.options.accelerator=abacus"], r"refuses trainer.options .*abacus"),
    ],
)
def test_an_option_that_the_trainer_refuses_is_named(
    composed: Compose, gold_dir: Path, words: list[str], message: str
) -> None:
    data = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", *FAST]
    with pytest.raises(UserError, match=message):
        train.run(composed("train", *data, *words))


def test_a_failed_upload_leaves_a_finished_run(
    composed: Compose, gold_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = list[str]()

    def unreachable(folder: Path, name: str, kind: str, _files: object) -> None:
        assert (folder.parent.name, name, kind) == ("students", "me/x", "model")
        assert ended == ["FINISHED"]
        raise UserError("no hub")

    monkeypatch.setattr(hub, "check", lambda _name: None)
    monkeypatch.setattr(hub, "push", unreachable)
    monkeypatch.setattr(train, "work", lambda *_given: 0.5)

    def close(_run: tracking.Run, status: str) -> None:
        ended.append(status)

    monkeypatch.setattr(tracking.Run, "close", close)
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", "push_to_hub=me/x"]
    with pytest.raises(UserError, match="no hub"):
        train.run(composed("train", *words, *FAST))
    assert ended == ["FINISHED"]
