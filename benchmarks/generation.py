"""The whole generation loop beside the bare engine answering the same requests at the same concurrency.

python benchmarks/generation.py [overrides of generate.py ...]      e.g. num_per_label=8 llm=gemma3_270m shots=5
For each of three seeds: generate a dataset with a loaded engine and note its requests; then send exactly those requests to
the same engine with nothing around it. Prints seconds, examples per second, and loop divided by bare.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from japagen import config, generate, llm, show
from japagen.check import check
from japagen.config import GenerateConfig

SEEDS = (0, 1, 2)


class Noting:
    """The loaded engine, which notes what it is asked, one list for each example's chain of turns."""

    def __init__(self, engine: llm.Engine) -> None:
        self.engine, self.requests, self.replies = engine, list[llm.Request](), 0

    async def complete(self, request: llm.Request) -> llm.Completion:
        """Pass on."""
        self.requests.append(request)
        return await self.engine.complete(request)

    async def close(self) -> None:
        """The next measurement needs the engine too."""


async def bare(engine: llm.Engine, requests: list[llm.Request], concurrency: int) -> None:
    """Send all requests, `concurrency` at once, and do nothing with the replies."""
    queue = iter(requests)

    async def worker() -> None:
        for request in queue:
            await engine.complete(request)

    await asyncio.gather(*(worker() for _ in range(concurrency)))


def timed(work: Any) -> float:
    """Seconds that calling `work` takes."""
    begin = time.perf_counter()
    result = work()
    if isinstance(result, Coroutine):
        asyncio.run(result)
    return time.perf_counter() - begin


def composed(folder: Path, seed: int) -> DictConfig:
    """The job's config, writing into `folder`."""
    fixed = ["logger=none", f"seed={seed}", f"synthetic_dir={folder}"]
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return compose("generate", overrides=["num_per_label=8", *sys.argv[1:], *fixed])


def main() -> None:
    """Measure and print."""
    config.register()
    logging.disable(logging.INFO)
    show.generated = lambda *_: None
    load = llm.load
    noting: Noting | None = None
    loops, bares, examples = 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            cfg = composed(Path(folder), seed)
            job = check(cfg, GenerateConfig)
            if noting is None:
                noting = Noting(load(job.llm))
                asyncio.run(noting.engine.complete(generate.make(job).request(0, 0, [])))  # warm-up
            noting.requests = []
            generate.llm.load = lambda _, engine=noting: engine
            loop = timed(lambda cfg=cfg: generate.run(cfg))
            requests = list(noting.requests)
            alone = timed(lambda engine=noting.engine, requests=requests, job=job: bare(engine, requests, job.llm.concurrency))
            size = len(job.task.labels) * job.num_per_label
            loops, bares, examples = loops + loop, bares + alone, examples + size
            print(f"seed {seed}: {size} examples, {len(requests)} requests; loop {loop:.1f} s, bare engine {alone:.1f} s", flush=True)
    print(f"loop {examples / loops:.3f} examples/s, bare engine {examples / bares:.3f} examples/s, ratio {bares / loops:.3f}")


if __name__ == "__main__":
    main()
