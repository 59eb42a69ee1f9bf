"""Ctrl+C and SIGTERM: one line and exit code 130 or 143, from the first import to the end."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

AGAIN = 0.05  # seconds
UNREAD = 141  # what a shell shows for a process that SIGPIPE ended

_terminated: list[int] = []  # SIGTERM, once this process has received it


def code() -> int:
    """The exit code of a stopped process: 143 after SIGTERM, else 130."""
    return 128 + (_terminated[-1] if _terminated else signal.SIGINT)


def at_once() -> None:
    """End the process at a signal from here on, while nothing is begun that must be finished.

    An exception could be swallowed by a package that is being imported.
    """
    handle(end, end)


def politely() -> None:
    """Raise KeyboardInterrupt at a signal from here on, so that a job ends what it has begun."""
    # asyncio cancels its tasks at Ctrl+C only where Python's own handler is installed.
    handle(signal.default_int_handler, terminate)
    if not isinstance(sys.unraisablehook, functools.partial):
        sys.unraisablehook = functools.partial(unraisable, sys.unraisablehook)


def handle(interrupted: Any, terminated: Any) -> None:
    """Set what SIGINT and SIGTERM do; one that the parent process ignores stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, how in ((signal.SIGINT, interrupted), (signal.SIGTERM, terminated)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, how)


def end(number: int, _frame: FrameType | None) -> None:
    """End the process without an exception."""
    os.write(2, b"Stopped\n")
    os._exit(128 + number)


def terminate(number: int, frame: FrameType | None) -> None:
    """Do what Ctrl+C does at this moment."""
    _terminated.append(number)
    interrupted = signal.getsignal(signal.SIGINT)
    if callable(interrupted):
        interrupted(signal.SIGINT, frame)
    else:
        raise KeyboardInterrupt


def unraisable(before: Callable[[Any], object], found: Any) -> None:
    """Send a signal again whose exception Python drops in a destructor, instead of printing it."""
    if issubclass(found.exc_type, KeyboardInterrupt):
        again = threading.Timer(AGAIN, os.kill, (os.getpid(), code() - 128))
        again.daemon = True
        again.start()
    else:
        before(found)


@contextmanager
def starting() -> Iterator[None]:
    """Imports of a job that has begun nothing: a signal ends the process at once."""
    at_once()
    try:
        yield
    finally:
        politely()


@contextmanager
def one_line() -> Iterator[None]:
    """Turn KeyboardInterrupt into the line and the exit code of a stopped process."""
    try:
        yield
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)
        raise SystemExit(code()) from None


@contextmanager
def unread() -> Iterator[None]:
    """End the process without a message when nothing reads its output any more (`| head`)."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # `>&-`
                sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        raise SystemExit(UNREAD) from None


def drop_output() -> None:
    """Send to nowhere what is printed from here on; nothing reads it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Output:
    """The output of a job, which continues when nothing reads it any more (`| head`)."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        if name == "stream":  # of a copy that has none yet
            raise AttributeError(name)
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write `text`; drop it if nothing reads it."""
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            drop_output()
            return len(text)

    def flush(self) -> None:
        """Write what waits; drop it if nothing reads it."""
        try:
            self.stream.flush()
        except BrokenPipeError:
            drop_output()
