"""Speed of the generation loop, compared with the engine alone answering the same requests.

    PYTHONPATH=. python benchmarks/generation.py [--tiny] [overrides of generate.py ...]

Example: num_per_label=8 llm=gemma3_270m shots=5 --tiny uses a model of two random layers, for
llm=vllm and llm=server llm.serve=true on a machine without a GPU (set VLLM_CPU_KVCACHE_SPACE=1).

For each of three seeds, the loop generates a dataset with a loaded engine, and its requests are
recorded. Then the same requests are sent to the same engine without the loop, at the same
concurrency. vLLM's prefix cache is off, because it would make the second measurement faster.

While the last examples are generated, few requests are in flight. Ask for at least some tens of
examples per unit of llm.concurrency, or this effect dominates the result.

Prints seconds, examples per second, and the ratio of the loop to the engine alone.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from japagen import llm
from japagen.command import generate
from japagen.config import schema
from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity
from japagen.llm.server import Server
from japagen.synthesis import console, plan
from tests import tiny_qwen2

SEEDS = (0, 1, 2)


class Recording:
    """A loaded engine that records its requests."""

    def __init__(self, engine: llm.Engine) -> None:
        self.engine, self.requests = engine, list[llm.Request]()

    async def complete(self, request: llm.Request) -> llm.Completion:
        """Record the request and pass it on."""
        self.requests.append(request)
        return await self.engine.complete(request)

    async def close(self) -> None:
        """Keep the engine for the next measurement.

        Close HTTP connections: they belong to one event loop, and the next measurement has another.
        """
        if isinstance(self.engine, Server):
            await self.engine.close()


async def alone(engine: Recording, requests: list[llm.Request], concurrency: int) -> None:
    """Send all requests, `concurrency` at once, and discard the replies."""
    queue = iter(requests)

    async def worker() -> None:
        for request in queue:
            await engine.engine.complete(request)

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    await engine.close()


def timed(work: Any) -> float:
    """Seconds that calling `work` takes."""
    begin = time.perf_counter()
    result = work()
    if isinstance(result, Coroutine):
        asyncio.run(result)
    return time.perf_counter() - begin


def composed(folder: Path, seed: int, words: list[str]) -> DictConfig:
    """The config of a job that writes into `folder`."""
    fixed = ["logger=none", f"seed={seed}", f"synthetic_dir={folder}"]
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        return compose("generate", overrides=["num_per_label=8", *words, *fixed])


def options(folder: Path) -> list[str]:
    """The overrides of the command line and those that the engine needs."""
    words = [word for word in sys.argv[1:] if word != "--tiny"]
    if "--tiny" in sys.argv:
        words = [*tiny_qwen2.overrides(tiny_qwen2.write(folder / "tiny-qwen2")), *words]
    vllm = "llm=vllm" in words or "llm.serve=true" in words
    return [*words, "++llm.engine.enable_prefix_caching=false"] if vllm else words


async def warm_up(engine: Recording, request: llm.Request) -> None:
    """Send one request, so that nothing is loaded or compiled during the measurement."""
    await engine.engine.complete(request)
    await engine.close()


def main() -> None:
    """Measure and print."""
    schema.register()
    logging.disable(logging.INFO)
    console.generated = lambda *_: None
    load = llm.load
    engine: Recording | None = None
    loops, bares, examples = 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        words = options(Path(folder))
        for seed in SEEDS:
            cfg = composed(Path(folder), seed, words)
            job = check(cfg, GenerateConfig)
            if engine is None:
                engine = Recording(load(job.llm))
                asyncio.run(warm_up(engine, plan.make(identity.of(job), None).request(0, 0, [])))
            engine.requests = []
            llm.load = lambda _, engine=engine: engine
            loop = timed(functools.partial(generate.run, cfg))
            requests, number = list(engine.requests), job.llm.concurrency
            bare = timed(functools.partial(alone, engine, requests, number))
            size = len(job.task.labels) * job.num_per_label
            loops, bares, examples = loops + loop, bares + bare, examples + size
            print(f"seed {seed}: {size} examples, {len(requests)} requests", end="; ")
            print(f"loop {loop:.1f} s, engine alone {bare:.1f} s", flush=True)
    speeds = (
        f"loop {examples / loops:.3f} examples/s, engine alone {examples / bares:.3f} examples/s"
    )
    print(f"{speeds}, ratio {bares / loops:.3f}")


if __name__ == "__main__":
    main()
