from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from japagen.config.schema import CONF
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
    assert "going on from the checkpoint" in done.stdout
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


def test_a_folder_of_another_training_is_not_taken(tmp_path: Path) -> None:
    from japagen.config.error import UserError
    from japagen.training import workplace

    with workplace.workplace(tmp_path, "one") as part:
        assert workplace.resumed(part) is None
        (part / workplace.RESUME).write_bytes(b"x")
        assert workplace.resumed(part) == part / workplace.RESUME
        with (
            pytest.raises(UserError, match="Another process is training the same student"),
            workplace.workplace(tmp_path, "one"),
        ):
            pass
        assert part.exists()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), workplace.workplace(tmp_path, "two") as part:
        (part / workplace.RESUME).write_bytes(b"x")
        raise KeyboardInterrupt
    assert part.exists()
    with (
        pytest.raises(OSError, match="full"),
        workplace.workplace(tmp_path, "two") as part,
    ):  # the lock was given back, and the hours are kept
        raise OSError("the disk is full")
    assert workplace.resumed(part) is not None
    with pytest.raises(UserError), workplace.workplace(tmp_path, "two"):
        raise UserError("the loss is nan")
    assert list(tmp_path.iterdir()) == []
