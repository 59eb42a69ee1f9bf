"""Work in a copy of this process that a signal ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from japagen import stop


def killed(work: Callable[[], object], number: int, seconds: float) -> bool:
    """Do `work` in a copy of this process and send it a signal after `seconds`; 0: none.

    Returns whether the signal ended it.
    """
    both = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, both)  # until the copy has its own handlers
    child = os.fork()
    if child == 0:
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            stop.at_once()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
            work()
        finally:
            os._exit(0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
    if number:
        time.sleep(seconds)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
