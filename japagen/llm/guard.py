"""End processes when standard input closes: `watch.py COMMAND ...` one that it starts, `watch.py --pids N ...` those.

Run as a script. Its starter holds the other end of the pipe, so the processes end when the starter closes it, and also
when the starter is killed in a way that lets it do nothing more: a forgotten server would keep its GPU for ever.
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
    """This script as a process; it acts when the returned process's `stdin` is closed."""
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
    """Run `command` in a process group of its own; its exit status, or 0 where it was ended from here."""
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


def guard(pids: list[int]) -> int:
    """End the processes `pids` when standard input closes. Handles, because a number may be given to another process."""
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
    """Whether standard input was closed within `seconds`."""
    readable, _, _ = select.select([0], [], [], seconds)
    return bool(readable) and not os.read(0, 1024)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Leave through the `finally`."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(
        guard([int(pid) for pid in sys.argv[2:]]) if sys.argv[1] == "--pids" else run(sys.argv[1:])
    )
