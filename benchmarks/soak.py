"""Generate many examples in one process, and check that speed, memory and handles stay the same.

    PYTHONPATH=. python benchmarks/soak.py [examples] [overrides of generate.py ...]

500,000 examples by default, with the fake engine (a random wait of 20 ms on average), 256 requests
in flight and without near-duplicate search. Prints the examples per second of the first and the
last tenth, by wall clock and by the CPU time of this process, which depends less on other work on
the machine; resident memory after one tenth and at the end; open files, asyncio tasks and threads.
The exit code is 1 if the last tenth has less than 0.9 of the first tenth's speed by CPU time, or if
files, tasks or threads were left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from japagen.command import generate
from japagen.config import schema
from japagen.dataset.reply import Reply
from japagen.synthesis.loop import Synthesis

LABELS, IN_FLIGHT = 2, 256
SHARES = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True)
class Mark:
    """The process at one moment. `memory`: resident bytes."""

    examples: int
    replies: int
    wall: float
    cpu: float
    memory: int
    open_files: int
    tasks: int
    threads: int


def mark(examples: int = 0, replies: int = 0) -> Mark:
    """The process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    tasks = 0
    with contextlib.suppress(RuntimeError):  # no event loop is running
        tasks = len(asyncio.all_tasks())
    return Mark(
        examples,
        replies,
        time.monotonic(),
        time.process_time(),
        pages * os.sysconf("SC_PAGE_SIZE"),
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
        tasks,
        threading.active_count(),
    )


class Watch:
    """Notes a mark when each of SHARES of the examples is accepted."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []

    def arrive(self, loop: Synthesis, reply: Reply) -> None:
        """As Synthesis.arrive, which this replaces."""
        original(loop, reply)
        state = loop.state
        if state.accepted >= SHARES[min(len(self.marks), len(SHARES) - 1)] * state.size and len(
            self.marks
        ) < len(SHARES):
            self.marks.append(mark(state.accepted, state.tally.replies))


original = Synthesis.arrive


def composed(examples: int, folder: str, overrides: Sequence[str]) -> DictConfig:
    """The config of the generation."""
    schema.register()
    fixed = [
        "task=jcola",
        "llm=fake",
        "llm.engine.latency=0.02",
        f"llm.concurrency={IN_FLIGHT}",
        f"num_per_label={examples // LABELS}",
        "task.clean.near_duplicate=0",
        "max_shortfall=1.0",
        "logger=none",
        f"synthetic_dir={folder}",
    ]
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        return compose("generate", overrides=[*fixed, *overrides])


def speed(first: Mark, last: Mark) -> tuple[float, float]:
    """Examples per second of wall clock and of CPU time between two marks."""
    number = last.examples - first.examples
    return number / (last.wall - first.wall), number / (last.cpu - first.cpu)


def report(marks: Sequence[Mark], before: Mark, after: Mark) -> bool:
    """Print the figures; whether the speed and the handles stayed the same."""
    start, early, tenth, _, late, end = marks
    first, last = speed(start, tenth), speed(late, end)
    ratios = [b / a for a, b in zip(first, last, strict=True)]
    print(f"{end.examples} examples from {end.replies} replies in {end.wall - start.wall:.0f} s")
    print(f"first tenth: {first[0]:.0f} examples/s, {first[1]:.0f} by CPU time")
    print(f"last tenth: {last[0]:.0f} examples/s, {last[1]:.0f} by CPU time")
    print(f"ratio: {ratios[0]:.2f}, {ratios[1]:.2f} by CPU time")
    grown = (end.memory - tenth.memory) / (end.examples - tenth.examples)
    print(
        f"memory: {tenth.memory / 1e6:.0f} MB after one tenth, {end.memory / 1e6:.0f} MB at the "
        f"end, {grown:.1f} bytes per example; {after.memory / 1e6:.0f} MB after the job"
    )
    moments = {"before": before, "after 1 %": early, "at the end": end, "after the job": after}
    for name, one in moments.items():
        print(f"{name}: {one.open_files} open files, {one.tasks} tasks, {one.threads} threads")
    kept = (early.open_files, early.threads) == (end.open_files, end.threads)
    # Workers that find nothing left to draw have ended when the last example arrives.
    kept = kept and end.tasks <= early.tasks and after.open_files <= before.open_files
    return ratios[1] >= 0.9 and kept and after.threads <= before.threads


def main() -> int:
    """Generate, and print the figures; the exit code."""
    words = sys.argv[1:]
    examples = int(words.pop(0)) if words and words[0].isdigit() else 500_000
    watch = Watch()
    Synthesis.arrive = lambda loop, reply: watch.arrive(loop, reply)  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as folder:
        cfg, before = composed(examples, folder, words), mark()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            generate.run(cfg)
        after = mark()
        (table,) = Path(folder).rglob("train.jsonl")
        with table.open("rb") as file:
            rows = sum(1 for _ in file)
    print(f"table: {rows} rows")
    return int(not report(watch.marks, before, after) or rows != watch.marks[-1].examples)


if __name__ == "__main__":
    sys.exit(main())
