"""A generation killed at random moments ends with the same bytes as an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from japagen.config.schema import CONF

KILLS = 25
WORDS = [
    sys.executable,
    str(CONF.parent / "generate.py"),
    "llm=fake",
    "llm.engine.latency=0.02",
    "llm.engine.error_rate=0.05",
    "llm.engine.malformed_rate=0.05",
    "num_per_label=600",
    "max_attempts=50",
    "task.clean.near_duplicate=0.4",  # low enough to find near duplicates
    "logger=none",
]


# Choices between rounds, several LLMs and a selection, which all must survive a kill.
CHOICES = [
    *WORDS[:2],
    "task=hotel_reviews",
    "llm=mixed",
    "llm@llm.writers.first=fake",
    "llm@llm.writers.second=fake",
    "llm.writers.second.name=other",
    "llm.writers.first.engine.latency=0.02",
    "llm.writers.second.engine.latency=0.02",
    "llm.writers.second.engine.malformed_rate=0.2",
    "prompt=knowledge",
    "knowledge=llm",
    "prompt.taboo=5",
    "prompt.round=16",
    "select=balanced",
    "num_per_label=160",
    "max_attempts=50",
    "logger=none",
]


def run(folder: Path, seconds: float | None = None, words: Sequence[str] = WORDS) -> int:
    """Generate in `folder`, with SIGKILL `seconds` after the first write; the exit code."""
    folder.mkdir(exist_ok=True)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(words, cwd=folder, text=True, start_new_session=True, **pipes) as process:
        if seconds is None:
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output
            return 0
        before = size(folder)
        limit = time.monotonic() + 60
        while size(folder) == before and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return process.returncode


def size(folder: Path) -> int:
    """Current size of the journal in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("journal.jsonl"))


def only(folder: Path, name: str) -> Path:
    """The only file called `name` below `folder`."""
    (path,) = folder.rglob(name)
    return path


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL requires POSIX")
def test_after_25_kills_the_table_is_byte_identical(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    draw, killed = random.Random(0), 0
    for _ in range(KILLS):
        killed += run(tmp_path / "killed", draw.uniform(0, 0.25)) == -signal.SIGKILL
    assert killed == KILLS, "the generation ended before the last kill: increase num_per_label"
    assert not list((tmp_path / "killed").rglob("train.jsonl")), (
        "an unfinished dataset must have no table"
    )
    replies = [
        json.loads(line)
        for line in only(tmp_path / "killed", "journal.jsonl").read_bytes().splitlines()[1:-1]
    ]
    run(tmp_path / "killed")

    whole, resumed = (
        only(tmp_path / name, "train.jsonl").read_bytes() for name in ("whole", "killed")
    )
    assert resumed == whole
    manifest = json.loads(only(tmp_path / "killed", "manifest.json").read_bytes())
    assert manifest["rejected_by_reason"]["near_duplicate"] > 10
    ids = [json.loads(line)["id"] for line in resumed.splitlines()]
    assert len(ids) == len(set(ids)) == 1800

    # No reply was requested twice.
    entries = [
        json.loads(line)
        for line in only(tmp_path / "killed", "journal.jsonl").read_bytes().splitlines()[1:]
    ]
    assert entries[: len(replies)] == replies
    keys = [(entry["k"], entry["attempt"]) for entry in entries if "k" in entry]
    assert len(keys) == len(set(keys))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL requires POSIX")
def test_after_8_kills_all_choices_are_the_same(tmp_path: Path) -> None:
    run(tmp_path / "whole", words=CHOICES)
    draw, killed = random.Random(1), 0
    for _ in range(8):
        killed += run(tmp_path / "killed", draw.uniform(0, 0.2), CHOICES) == -signal.SIGKILL
    assert killed == 8, "the generation ended before the last kill: increase num_per_label"
    run(tmp_path / "killed", words=CHOICES)
    for name in ("train.jsonl", "knowledge.yaml"):
        whole, resumed = (only(tmp_path / part, name).read_bytes() for part in ("whole", "killed"))
        assert resumed == whole, name
    manifest = json.loads(only(tmp_path / "killed", "manifest.json").read_bytes())
    assert set(manifest["llms"]) == {"fake", "other"}
    assert manifest["select"] == {"drawn": 480, "kept": 320}
    lines = only(tmp_path / "killed", "journal.jsonl").read_bytes().splitlines()
    chosen = [key for line in lines for key in json.loads(line) if "/" in key]
    assert len(chosen) == len(set(chosen)) > 10, "each choice is written once"
