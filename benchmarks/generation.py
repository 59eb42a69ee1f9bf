"""The whole generation loop beside the bare engine answering the same requests at the same concurrency.

python benchmarks/generation.py [--tiny] [overrides of generate.py ...]      e.g. num_per_label=8 llm=gemma3_270m shots=5
--tiny: a model of two random layers, for llm=vllm and llm=server llm.serve=true where there is no GPU (VLLM_CPU_KVCACHE_SPACE=1).
For each of three seeds: generate a dataset with a loaded engine and note its requests; then send exactly those requests to
the same engine with nothing around it. vLLM would know the second time what it read the first time, so its prefix cache is
off here. The loop ends when the last examples are accepted, with ever fewer requests in flight: ask for some tens of examples
for each of llm.concurrency, or that weighs more than all that the loop does. Prints seconds, examples per second, and loop divided by bare.
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

from japagen import generate, llm
from japagen.config import schema
from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.llm.server import Server
from japagen.synthesis import console
from tests import tiny_qwen2

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
        """The next measurement needs the engine too, but has another event loop, and HTTP connections belong to one."""
        if isinstance(self.engine, Server):
            await self.engine.close()


async def bare(noting: Noting, requests: list[llm.Request], concurrency: int) -> None:
    """Send all requests, `concurrency` at once, and do nothing with the replies."""
    queue = iter(requests)

    async def worker() -> None:
        for request in queue:
            await noting.engine.complete(request)

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    await noting.close()


def timed(work: Any) -> float:
    """Seconds that calling `work` takes."""
    begin = time.perf_counter()
    result = work()
    if isinstance(result, Coroutine):
        asyncio.run(result)
    return time.perf_counter() - begin


def composed(folder: Path, seed: int, words: list[str]) -> DictConfig:
    """The job's config, writing into `folder`."""
    fixed = ["logger=none", f"seed={seed}", f"synthetic_dir={folder}"]
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        return compose("generate", overrides=["num_per_label=8", *words, *fixed])


def options(folder: Path) -> list[str]:
    """The overrides asked for, and what the engine needs beside them."""
    words = [word for word in sys.argv[1:] if word != "--tiny"]
    if "--tiny" in sys.argv:
        words = [*tiny_qwen2.overrides(tiny_qwen2.write(folder / "tiny-qwen2")), *words]
    vllm = "llm=vllm" in words or "llm.serve=true" in words
    return [*words, "++llm.engine.enable_prefix_caching=false"] if vllm else words


async def warm_up(noting: Noting, request: llm.Request) -> None:
    """One request, after which all that is loaded or compiled at the first is there."""
    await noting.engine.complete(request)
    await noting.close()


def main() -> None:
    """Measure and print."""
    schema.register()
    logging.disable(logging.INFO)
    console.generated = lambda *_: None
    load = llm.load
    noting: Noting | None = None
    loops, bares, examples = 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        words = options(Path(folder))
        for seed in SEEDS:
            cfg = composed(Path(folder), seed, words)
            job = check(cfg, GenerateConfig)
            if noting is None:
                noting = Noting(load(job.llm))
                asyncio.run(warm_up(noting, generate.make(job).request(0, 0, [])))
            noting.requests = []
            generate.llm.load = lambda _, noting=noting: noting
            loop = timed(lambda cfg=cfg: generate.run(cfg))
            requests = list(noting.requests)
            alone = timed(
                lambda noting=noting, requests=requests, job=job: bare(
                    noting, requests, job.llm.concurrency
                )
            )
            size = len(job.task.labels) * job.num_per_label
            loops, bares, examples = loops + loop, bares + alone, examples + size
            print(
                f"seed {seed}: {size} examples, {len(requests)} requests; loop {loop:.1f} s, bare engine {alone:.1f} s",
                flush=True,
            )
    print(
        f"loop {examples / loops:.3f} examples/s, bare engine {examples / bares:.3f} examples/s, ratio {bares / loops:.3f}"
    )


if __name__ == "__main__":
    main()
