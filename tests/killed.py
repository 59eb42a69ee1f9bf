"""Work in a copy of this process that a signal ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from japagen import stop


def killed(work: Callable[[], object], number: int, seconds: float) -> bool:
    """Do `work` in a copy of this process and send it a signal after `seconds`.

    Returns whether it was still at work.
    """
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        try:
            stop.at_once()
            work()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
