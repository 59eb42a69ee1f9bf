"""Run a command in a process group of its own, and end the group when standard input closes.

Run as a script. Its starter holds the other end of the pipe, so the group ends when the starter closes it, and also
when the starter is killed in a way that lets it do nothing more.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from types import FrameType

GRACE = 15.0  # seconds between asking the group to end and killing it


def main(command: list[str]) -> int:
    """The command's exit status; 0 where it was ended from here."""
    signal.signal(signal.SIGTERM, stop)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        while child.poll() is None:
            readable, _, _ = select.select([0], [], [], 0.2)
            if readable and not os.read(0, 1024):
                return 0
        return child.returncode
    finally:
        end(child)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """Leave main() through its `finally`."""
    raise SystemExit(0)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask the group to end, then kill what is left of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
