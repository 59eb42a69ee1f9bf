from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from japagen.config.schema import CONF
from japagen.training import checkpoint
from tests.toys import write_toys

OPTIONS = [
    "task=jcola",
    "data=gold",
    "student=tiny",
    "trainer=cpu",
    "trainer.max_epochs=6",
    "trainer.min_steps=120",
    "trainer.save_steps=7",
]


def command(gold: Path, *extra: str) -> list[str]:
    paths = [
        f"gold_dir={gold}",
        "hydra.run.dir=outputs",
        "logger=none",
        "trainer.options.precision=32-true",
    ]
    return [sys.executable, str(CONF.parent / "train.py"), *OPTIONS, *paths, *extra]


def student(folder: Path) -> tuple[bytes, list[str]]:
    """(weights, lines of predictions) of the one student in `folder`; nothing else lies there."""
    (found,) = (folder / "students").iterdir()
    return (found / "model.safetensors").read_bytes(), (found / "predictions.jsonl").read_text(
        encoding="utf-8"
    ).splitlines()


@pytest.mark.slow
def test_training_killed_three_times_ends_with_the_same_weights(tmp_path: Path) -> None:
    write_toys(tmp_path / "gold")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "JAPAGEN_CACHE": str(tmp_path / "cache")}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    subprocess.run(
        command(tmp_path / "gold"), cwd=whole, env=environment, check=True, capture_output=True
    )
    for saved in (1, 3, 5):
        kill_after(saved, killed, command(tmp_path / "gold"), environment)
    done = subprocess.run(
        command(tmp_path / "gold"),
        cwd=killed,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "resuming from the checkpoint" in done.stdout
    assert student(killed) == student(whole)
    assert json.loads(student(whole)[1][0])["gold"] in ("acceptable", "unacceptable")


def kill_after(saves: int, folder: Path, words: list[str], environment: dict[str, str]) -> None:
    """Start the job and kill it with SIGKILL when its checkpoint was written `saves` times anew."""
    seen: set[int] = set()
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as job:
        while len(seen) <= saves:
            assert job.poll() is None, "the job ended before it was killed"
            for path in (folder / "students").glob(".part-*/resume.ckpt"):
                seen.add(path.stat().st_mtime_ns)
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
    assert list((folder / "students").glob(".part-*/resume.ckpt"))


def checkpoint_file(folder: Path) -> Path:
    """A checkpoint with the parts that a training writes."""
    path = folder / "resume.ckpt"
    parts: dict[str, Any] = {
        key: {} for key in ("state_dict", "loops", "callbacks", "optimizer_states", "japagen")
    }
    torch.save(parts, path)
    return path


def test_a_whole_checkpoint_is_resumed_from(tmp_path: Path) -> None:
    assert checkpoint.usable(tmp_path / "resume.ckpt") is None
    path = checkpoint_file(tmp_path)
    assert checkpoint.usable(path) == path


@pytest.mark.parametrize("damage", ["empty", "zeros", "half", "text", "lacking", "objects"])
def test_a_damaged_checkpoint_is_deleted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    path = checkpoint_file(tmp_path)
    whole = path.read_bytes()
    if damage == "lacking":
        torch.save({"state_dict": {}}, path)
    elif damage == "objects":
        torch.save({"state_dict": pickle.PickleBuffer, "loops": Path}, path)
    else:
        found = {"empty": b"", "zeros": bytes(900), "half": whole[: len(whole) // 2], "text": b"hi"}
        path.write_bytes(found[damage])
    assert checkpoint.usable(path) is None
    assert not path.exists()
    assert "it is deleted, and the training starts from the beginning" in caplog.text


@pytest.mark.parametrize("best", [None, b"", b"PK cut off"])
def test_a_checkpoint_without_its_best_weights_is_deleted(
    tmp_path: Path, best: bytes | None
) -> None:
    path = checkpoint_file(tmp_path)
    parts = torch.load(path, weights_only=True)
    parts["callbacks"] = {"ModelCheckpoint{}": {"best_model_path": str(tmp_path / "best.ckpt")}}
    torch.save(parts, path)
    if best is not None:
        (tmp_path / "best.ckpt").write_bytes(best)
    assert checkpoint.usable(path) is None
    assert not path.exists()
