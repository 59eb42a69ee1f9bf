"""The lines of a job's log: colours on a terminal, UTF-8 in files, errors always visible."""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper

from japagen.config.secret import hidden
from japagen.job.console import shown

RED, YELLOW = 31, 33


class Line(logging.Formatter):
    """Lines as `plain` formats them, without secrets and control characters."""

    def __init__(self, plain: logging.Formatter, colours: bool) -> None:
        super().__init__()
        self.plain, self.colours = plain, colours

    def format(self, record: logging.LogRecord) -> str:
        """One record as text: warnings in yellow, errors in red."""
        line = shown(hidden(self.plain.format(record)))
        if not self.colours or record.levelno < logging.WARNING:
            return line
        return f"\x1b[{RED if record.levelno >= logging.ERROR else YELLOW}m{line}\x1b[0m"


def prepare(logger: logging.Logger) -> None:
    """Give the handlers of `logger` our lines: in colour on a terminal (not with NO_COLOR)."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.StreamHandler):
            continue
        stream, plain = handler.stream, handler.formatter
        if isinstance(stream, TextIOWrapper):
            # A log file in the encoding of the system cannot hold every text.
            if isinstance(handler, logging.FileHandler):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")
            else:
                stream.reconfigure(errors="backslashreplace")
        if plain is not None and not isinstance(plain, Line):
            colours = stream.isatty() and not os.environ.get("NO_COLOR")
            handler.setFormatter(Line(plain, colours))


def reaches_console(logger: logging.Logger) -> bool:
    """Whether an error logged by `logger` is printed: not with hydra/job_logging=disabled."""
    root = logging.getLogger()
    return logger.isEnabledFor(logging.ERROR) and any(
        isinstance(handler, logging.StreamHandler)
        and handler.stream in (sys.stdout, sys.stderr)
        and handler.level <= logging.ERROR
        for handler in root.handlers
    )
