"""`japagen serve FOLDER`: its options, and the server from its start to its end."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING

from japagen import stop
from japagen.config.error import UserError
from japagen.job.log import prepare
from japagen.job.parser import Parser, complain, parsed
from japagen.service import address, key, openapi
from japagen.service.limit import Limits
from japagen.student.backend import AUTO, BACKENDS, needed
from japagen.student.opening import one_message, reason

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from japagen.service.app import Served

GRACE = 30  # seconds for the requests in flight at the end


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    options = parsed(parser(), arguments)
    stop.politely()
    try:
        serve(options)
    except UserError as error:
        complain("serve", error)
        return 1
    except KeyboardInterrupt:  # while the student is opened
        print("Stopped", file=sys.stderr)
        return stop.code()
    return 0


def parser() -> Parser:
    """The options."""
    made = Parser(
        prog="japagen serve",
        description="Serve a saved student over HTTP: POST /predict, GET /health, page /docs. "
        f"The API key is read from {key.VARIABLE}.",
    )
    made.add_argument("folder", metavar="FOLDER", help="folder of a student (students/NAME)")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on [%(default)s]")
    made.add_argument(
        "--port", type=number(int, 0, 65535), default=8000, help="0: a free port [%(default)s]"
    )
    made.add_argument(
        "--backend", default=AUTO, help=f"{', '.join([AUTO, *BACKENDS])} [%(default)s]"
    )
    made.add_argument(
        "--threads", type=number(int, 1), help="threads of the model [the allowed cores]"
    )
    for name, kind, least, text in LIMITS:
        made.add_argument(
            f"--{name.replace('_', '-')}",
            type=number(kind, least),
            default=getattr(Limits, name),
            metavar="N",
            help=f"{text} [%(default)s]",
        )
    made.add_argument("--no-key", action="store_true", help="allow any host without a key")
    made.add_argument("--log", action="store_true", help="log every request")
    return made


LIMITS: list[tuple[str, Callable[[str], float], float, str]] = [
    ("batch_size", int, 1, "texts that the model gets at once"),
    ("wait_ms", float, 0, "milliseconds that a text waits for others"),
    ("max_waiting", int, 1, "texts that may wait; beyond them 503"),
    ("max_texts", int, 1, "texts of a request"),
    ("max_chars", int, 1, "characters of a text"),
    ("max_bytes", int, 1, "bytes of a body"),
]


def number(
    kind: Callable[[str], float], least: float, most: float = 2**31 - 1
) -> Callable[[str], float]:
    """Return a function that reads a number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            found = kind(text)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r}; allowed: {what}, {least} to {most}")
        return found

    return read


def serve(options: argparse.Namespace) -> None:
    """Open the student and answer requests until a signal; UserError if it cannot start."""
    for package in ("fastapi", "uvicorn"):
        needed(package, "serve")
    from japagen.service.app import application

    limits = Limits(**{one.name: getattr(options, one.name) for one in fields(Limits)})
    secret = key.from_environment()
    # Bound first, so that a port in use is reported before the student is opened.
    place = address.bound(options.host, options.port, bool(secret) or options.no_key)
    with closing(place):
        served = opened(options)
        app = application(served, limits, secret)
        server = prepared(app, options.log)
        address.listen(place)
        print(started(served, address.url(place), bool(secret)), flush=True)
        server.run(sockets=[place])


def opened(options: argparse.Namespace) -> Served:
    """Return the student after its first answer."""
    from japagen.service.app import Served
    from japagen.student.predictor import Predictor

    predictor = Predictor(options.folder, options.backend, "FOLDER", options.threads)
    size, folder = options.batch_size, predictor.folder.resolve()
    text = openapi.EXAMPLES[0]
    with one_message(lambda error: f"FOLDER={folder}: this student fails: {reason(error)}"):
        predictor.predict([[text] * len(predictor.task.inputs)])
    return Served(
        predictor.task, folder.name, predictor.name, lambda texts: predictor.predict(texts, size)
    )


def started(served: Served, url: str, guarded: bool) -> str:
    """Return what is served and where, and a command that sends a request."""
    labels = ", ".join(served.task.labels) if served.task.kind != "regression" else "a number"
    header = f' -H "Authorization: Bearer ${key.VARIABLE}"' if guarded else ""
    example = json.dumps(openapi.example(served.task.inputs), ensure_ascii=False)
    return (
        f"serve: task {served.task.name} ({labels}), backend {served.backend}, at {url} "
        f"(page: {url}/docs)\ncurl {url}/predict{header} -d '{example}'"
    )


def prepared(app: FastAPI, log: bool) -> uvicorn.Server:
    """Return a server that SIGTERM and SIGINT end after it has answered what is in flight."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="info" if log else "warning",
        access_log=log,
        lifespan="on",
        ws="none",
        server_header=False,
        backlog=address.BACKLOG,
        timeout_graceful_shutdown=GRACE,
    )
    for name in ("uvicorn", "uvicorn.access"):
        prepare(logging.getLogger(name))  # a path may carry a key in its query
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it runs. After it, it raises the signal again for the
    # handlers that were there before: with the default ones the process would not exit with 0.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stop)
    return server


if __name__ == "__main__":
    sys.exit(main())
