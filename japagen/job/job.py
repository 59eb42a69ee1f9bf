"""How a job begins and ends: signals, and its error in its log and on the console."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator
from typing import NoReturn, TextIO, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from japagen import stop
from japagen.config.error import UserError
from japagen.config.secret import hidden, remember_all
from japagen.job.console import printable, shown
from japagen.job.log import prepare, reaches_console

log = logging.getLogger(__name__)

# Errors of files that the user can fix; with any other error number a traceback is needed.
FIXABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


@contextlib.contextmanager
def job() -> Iterator[None]:
    """Run a job. Its error is logged and printed at once; an error of a file becomes one message.

    In a sweep the error is raised again, so that Hydra marks the job as failed and starts the
    next one.
    """
    printable()
    remember_all({})  # keys in the environment
    prepare(logging.getLogger())
    with unread_output():
        try:
            stop.politely()
            refuse_chdir()
            yield
        except KeyboardInterrupt:
            end_stopped()
        except UserError as error:
            fail(error)
        except OSError as error:
            if error.errno not in FIXABLE or not error.filename:
                log.exception("the job failed")
                raise
            fail(
                UserError(
                    f"cannot use {error.filename}: {error.strerror}. Free space, or fix the path "
                    "or its permissions, then type the same command again: finished work is kept."
                )
            )
        except Exception as error:
            if is_interrupted(error):
                end_stopped()
            log.exception("the job failed")
            raise


def end_stopped() -> NoReturn:
    """End a job that was stopped."""
    log.warning("stopped; finished work is kept. The same command resumes where it can.")
    raise SystemExit(stop.code()) from None


def is_interrupted(error: BaseException | None) -> bool:
    """Whether a package turned Ctrl+C into an error of its own, as OmegaConf does."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@contextlib.contextmanager
def unread_output() -> Iterator[None]:
    """Let a job, and the lines of its log, continue when nothing reads the output any more."""
    plain, found = sys.stdout, cast(TextIO, stop.Output(sys.stdout))
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is plain
    ]
    for handler in handlers:
        handler.setStream(found)
    try:
        with contextlib.redirect_stdout(found):
            yield
    finally:
        for handler in handlers:
            if handler.stream is found:
                handler.setStream(plain)


def loading() -> contextlib.AbstractContextManager[None]:
    """Around the imports of a job: a signal ends a single job at once; a sweep has begun things."""
    single = HydraConfig.get().mode != RunMode.MULTIRUN
    return stop.starting() if single else contextlib.nullcontext()


def refuse_chdir() -> None:
    """Raise UserError for hydra.job.chdir=true: earlier datasets would not be found."""
    if HydraConfig.initialized() and HydraConfig.get().job.chdir:
        raise UserError(
            "hydra.job.chdir=true starts every job in a new folder, where it does not find the "
            "datasets and students of earlier jobs; allowed: false. Drop it, and set folders "
            "with synthetic_dir=..., student_dir=... or hydra.run.dir=..."
        )


def fail(error: UserError) -> None:
    """Log `error`, and end the program if this is its only job: Hydra would print it again."""
    log.error("%s", error)
    if not reaches_console(log):
        print(shown(hidden(error)), file=sys.stderr)
    if HydraConfig.get().mode == RunMode.MULTIRUN or os.environ.get("HYDRA_FULL_ERROR"):
        raise error
    raise SystemExit(1)
