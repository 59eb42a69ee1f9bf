"""Ctrl+C and SIGTERM end every command in one line, also while it imports."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from japagen import stop
from tests.commands import ROOT, start
from tests.toys import FAST

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

NUMBERS = [signal.SIGINT, signal.SIGTERM]
BOTH = pytest.mark.parametrize("number", NUMBERS)
HEAD = """
import asyncio, os, signal, time
from japagen import stop
number = signal.Signals({number})
def send(): os.kill(os.getpid(), number)
"""


def ended(number: int, code: str) -> tuple[int, str]:
    """The exit code and the output of Python code that sends itself a signal."""
    done = subprocess.run(
        [sys.executable, "-c", HEAD.format(number=int(number)) + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@BOTH
def test_a_package_that_swallows_every_exception_does_not_keep_a_command(number: int) -> None:
    code = """
stop.at_once()
try:
    send()
    time.sleep(30)
except BaseException:
    print("swallowed")
"""
    assert ended(number, code) == (128 + number, "Stopped\n")


@BOTH
def test_a_job_ends_what_it_has_begun(number: int) -> None:
    code = """
stop.politely()
with stop.one_line():
    try:
        send()
        time.sleep(30)
    finally:
        print("kept", flush=True)
"""
    assert ended(number, code) == (128 + number, "kept\nStopped\n")


@BOTH
def test_a_signal_inside_a_destructor_is_not_lost(number: int) -> None:
    code = """
class Dropped:
    def __del__(self): send(); time.sleep(30)
stop.politely()
with stop.one_line():
    dropped = Dropped()
    del dropped
    time.sleep(30)
"""
    assert ended(number, code) == (128 + number, "Stopped\n")


@BOTH
def test_tasks_of_asyncio_are_cancelled(number: int) -> None:
    code = """
async def work():
    try:
        send()
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
stop.politely()
with stop.one_line():
    asyncio.run(work())
"""
    assert ended(number, code) == (128 + number, "cancelled\nStopped\n")


def test_a_signal_that_the_shell_ignores_stays_ignored() -> None:
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
stop.at_once()
send()
stop.politely()
send()
print("finished")
"""
    assert ended(signal.SIGINT, code) == (0, "finished\n")


@pytest.mark.parametrize("script", ["generate", "train", "evaluate"])
def test_the_handlers_are_set_before_the_imports(script: str) -> None:
    text = (ROOT / f"{script}.py").read_text(encoding="utf-8")
    assert text.index("stop.at_once()") < text.index("from japagen import cli")


COMMANDS = {
    "generate": [str(ROOT / "generate.py"), "task=jcola", "llm=fake", "num_per_label=4"],
    "train": [str(ROOT / "train.py"), "task=jcola", "data=gold", "gold_dir=gold", *FAST],
    "report": ["-m", "japagen", "report"],
    "predict": ["-m", "japagen", "predict", "none", "--input", "x.csv", "--output", "y.csv"],
}


def listens(process: subprocess.Popen[str]) -> bool:
    """Whether the process has a handler for SIGTERM, or has ended."""
    path = Path(f"/proc/{process.pid}/status")
    if process.poll() is not None or not path.exists():
        return True
    caught = next(x for x in path.read_text().splitlines() if x.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", COMMANDS)
def test_no_traceback_at_any_moment(name: str, tmp_path: Path, gold_dir: Path) -> None:
    began = time.monotonic()
    start(tmp_path, *COMMANDS[name])
    draw, seconds = random.Random(name), time.monotonic() - began
    for number in NUMBERS * 3:
        process = subprocess.Popen(
            [sys.executable, *COMMANDS[name]],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "JAPAGEN_CACHE": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        while not listens(process):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, seconds))
        before = process.poll()
        process.send_signal(number)
        printed, _ = process.communicate(timeout=200)
        assert "Traceback" not in printed, printed
        if before is None and process.returncode > 1:
            assert process.returncode == 128 + number, printed
            assert "topped" in printed


def not_read(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose output nothing reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "japagen", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)


@pytest.mark.slow
def test_a_job_whose_output_is_not_read_is_finished(tmp_path: Path) -> None:
    words = ["task=jcola", "llm=fake", "num_per_label=4", "logger=none"]
    found = not_read(tmp_path, "generate", *words)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    assert len(list(tmp_path.glob("synthetic/jcola/*/manifest.json"))) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["predict", "--help"]])
def test_output_that_nothing_reads_ends_the_command_without_a_message(
    arguments: list[str], tmp_path: Path
) -> None:
    found = not_read(tmp_path, *arguments)
    # argparse ignores that its help is not read.
    assert found.returncode in ({0, stop.UNREAD} if "predict" in arguments else {stop.UNREAD})
    assert found.stderr == ""
