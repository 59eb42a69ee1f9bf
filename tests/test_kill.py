"""A generation killed at random moments ends with the same bytes as an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
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


def run(folder: Path, seconds: float | None = None) -> int:
    """Generate in `folder`, with SIGKILL `seconds` after the first write; the exit code."""
    folder.mkdir(exist_ok=True)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(WORDS, cwd=folder, text=True, start_new_session=True, **pipes) as process:
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
    keys = [(entry["k"], entry["attempt"]) for entry in entries]
    assert len(keys) == len(set(keys))
