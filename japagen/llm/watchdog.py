"""Watchdog: end child processes when the job ends, also when the job is killed.

Run as a script: `watchdog.py COMMAND ...` starts a command, `watchdog.py --pids N ...` watches
processes that run already. Both end when standard input closes. The job holds the other end of that
pipe, and the system closes it however the job ends; a forgotten server would keep its GPU for ever.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

GRACE = 15.0  # seconds between asking a process to end and killing it


def start(
    arguments: Sequence[str], output: int = subprocess.DEVNULL, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start this script as a process; it ends what it watches when its `stdin` is closed."""
    command = [sys.executable, "-I", __file__, *arguments]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env=env,
        start_new_session=True,
    )


def run(command: list[str]) -> int:
    """Run `command` in its own process group; its exit status, or 0 if this script ended it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        while child.poll() is None:
            if closed(0.2):
                return 0
        return child.returncode
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
            os.killpg(child.pid, signal.SIGKILL)


def watch(pids: list[int]) -> int:
    """End the processes `pids` when standard input closes; always 0."""
    # Handles, because the system may give the number of a process that ended to another one.
    handles = [os.pidfd_open(pid) for pid in pids]
    try:
        while not closed(3600):
            pass
    finally:
        for number, deadline in ((signal.SIGTERM, time.monotonic() + GRACE), (signal.SIGKILL, 0.0)):
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            for handle in handles:  # readable when the process has ended
                select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
    return 0


def closed(seconds: float) -> bool:
    """Whether standard input is closed within `seconds`."""
    readable, _, _ = select.select([0], [], [], seconds)
    return bool(readable) and not os.read(0, 1024)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End this script through its `finally` blocks."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(
        watch([int(pid) for pid in sys.argv[2:]]) if sys.argv[1] == "--pids" else run(sys.argv[1:])
    )
