"""Commands run one after the other, each in a fork of one process that has loaded the packages."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from japagen.config.schema import CONF

ROOT = CONF.parent
HEAVY = (
    *("torch", "transformers", "lightning", "mlflow", "datasets", "hydra", "sklearn.metrics"),
    *("japagen.command.train", "japagen.command.generate", "japagen.command.evaluate"),
)


@dataclass
class Runner:
    """The process. `run` gives the exit code of a command and what it printed."""

    requests: IO[str]
    answers: IO[str]

    def run(self, words: Sequence[str], folder: Path, **more: str) -> tuple[int, str]:
        """Run `python WORDS` in `folder`, which is also the home of its user."""
        log = folder / "command.log"
        environment = {"HOME": str(folder), "JAPAGEN_CACHE": str(folder / "cache")}
        environment |= {"WANDB_MODE": "offline", **more}
        job = {"words": list(words), "folder": str(folder), "log": str(log), "env": environment}
        self.requests.write(json.dumps(job) + "\n")
        self.requests.flush()
        code = json.loads(self.answers.readline())
        return code, log.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def runner() -> Iterator[Runner]:
    """Start the process, and end it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.forked"],
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Runner(process.stdin, process.stdout)
        process.stdin.close()


def main() -> None:
    """Fork for each line of the standard input and print the exit code."""
    for name in HEAVY:
        importlib.import_module(name)
    while line := sys.stdin.readline():
        job = json.loads(line)
        child = os.fork()
        if not child:
            start(job["words"], job["folder"], job["log"], job["env"])
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def start(words: list[str], folder: str, log: str, environment: dict[str, str]) -> None:
    """Become the command: its arguments, folder, environment and output."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(source, target)
    os.chdir(folder)
    os.environ.update(environment)
    if words[0] == "-m":
        sys.argv = [words[1], *words[2:]]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
