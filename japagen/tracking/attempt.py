"""Calls of MLflow that may fail or hang: quiet, with a time limit, and never the end of a job."""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from japagen.config.secret import hidden
from japagen.tracking.connect import database

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., None])
log = logging.getLogger("japagen.tracking")

LIMIT = 30.0  # seconds that one call of a server may take, with MLflow's own retries
AGAIN = 5.0  # the same for a server that has been silent once in this process
BYTES_PER_SECOND = 1_000_000  # of uploads, which get more time the larger they are
NOISY = ("mlflow", "alembic", "urllib3")
SETTINGS = {
    # Users' jobs are not for MLflow's makers to count.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default MLflow retries a dead server for 4 minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "60",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_silent: set[str] = set()  # addresses that did not answer in time in this process


class Guarded(Protocol):
    """Something that a failure of MLflow is noted on."""

    lost: str

    def remedy(self) -> str:
        """What happens to the data that MLflow did not take; "" if there is none."""
        ...


class Question:
    """A question to MLflow; nothing is lost if it stays without an answer."""

    lost = ""

    def remedy(self) -> str:
        """Nothing to say."""
        return ""


def attempt(run: Guarded, uri: str, work: Callable[[], T], seconds: float = LIMIT) -> T | None:
    """The result of `work`, which calls the store `uri`.

    An error, or no answer within `seconds`, gives None and one warning; its reason is put into
    `run.lost`. With an empty `uri` there is no limit: `work` has one for each of its own calls.
    """
    try:
        with quiet():
            return within(uri, work, seconds)
    except Exception as error:  # each kind of store has its own errors
        if not run.lost:
            run.lost = reason(error)
            log.warning(
                "MLflow failed; the job continues without it (logger=none switches it off): %s%s",
                run.lost,
                run.remedy(),
            )
        return None


def spared(method: Method) -> Method:
    """The method that records an artifact, with a warning for an OSError, e.g. of a full disk.

    What a job has made is worth more than the record of it.
    """

    @functools.wraps(method)
    def call(run: Any, what: Any, *others: Any) -> None:
        try:
            method(run, what, *others)
        except OSError as error:
            name = what if isinstance(what, Path) else others[0]
            log.warning("cannot record %s: %s", name, error.strerror or error)

    return cast(Method, call)


def within(uri: str, work: Callable[[], T], seconds: float = LIMIT) -> T:
    """The result of `work`; TimeoutError if the server at `uri` does not answer within `seconds`.

    A time limit per request is not enough: a server that sends a byte a second never exceeds it.
    """
    if not uri or database(uri) is not None:
        return work()  # SQLite has its own time limit, and threads would only add risk
    seconds = min(seconds, AGAIN) if uri in _silent else seconds
    results: list[tuple[T | None, BaseException | None]] = []
    thread = threading.Thread(target=lambda: results.append(outcome(work)), daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        _silent.add(uri)
        # The abandoned thread may still log its retries, long after `quiet` is over.
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        raise TimeoutError(f"no answer from {hidden(uri)} within {seconds:g} s")
    _silent.discard(uri)
    result, error = results[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def outcome(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """The result of `work`, or its error."""
    try:
        return work(), None
    except BaseException as error:  # raised again in the thread that waits
        return None, error


def reason(error: BaseException) -> str:
    """An error in one line of at most 400 characters, without SQL and secrets."""
    text = re.split(r"\[SQL|\(Background", f"{type(error).__name__}: {error}")[0]
    return hidden(" ".join(text.split()))[:400]


@contextmanager
def quiet() -> Iterator[None]:
    """Import MLflow with short time limits and silence the log lines of it and its libraries."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401 - before its loggers are silenced, because it sets their levels

    levels = {logger: logger.level for logger in map(logging.getLogger, NOISY)}
    try:
        for logger in levels:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
