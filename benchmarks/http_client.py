"""Speed of the HTTP engine and of the whole generation loop against a server that answers at once.

    PYTHONPATH=. python benchmarks/http_client.py [requests] [rounds]    # speed and ratios
    PYTHONPATH=. python benchmarks/http_client.py --profile [requests]   # profile of the loop

The server runs in a separate process on core 1, the client on core 0, with 64 requests in flight.
Each round measures a bare aiohttp loop, the engine alone, the whole loop (cleaning, journal,
table), and the loop with near-duplicate search. The figures by the client's CPU time do not
depend on other work on the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import io
import json
import multiprocessing
import os
import pstats
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from japagen import llm
from japagen.command import generate
from japagen.config import schema
from japagen.llm.fake import sentence

ROOT = Path(__file__).resolve().parent.parent
IN_FLIGHT = 64
MESSAGES = (
    {
        "role": "system",
        "content": "あなたは日本のニュースサイトの記者です。"
        "頼まれた記事の見出しと最初の二、三文を、続けて自然な日本語で書きます。",
    },
    {
        "role": "user",
        "content": "ニュース記事の見出しと書き出しを、150文字ほどで書いてください。"
        "記事は「独女通信」という欄に載るものです。",
    },
)


def replies(count: int) -> list[bytes]:
    """`count` complete HTTP responses, each with a different fluent text."""
    draw, out = random.Random(0), []
    for n in range(count):
        message = {"role": "assistant", "content": f"{sentence(draw)}{sentence(draw)}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        usage = {"prompt_tokens": 120, "completion_tokens": 90, "total_tokens": 210}
        data = {
            "id": f"chatcmpl-{n}",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        body = json.dumps(data, ensure_ascii=False).encode()
        out.append(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body
        )
    return out


class Answer(asyncio.Protocol):
    """The part of HTTP that the clients need: a request ends after Content-Length bytes."""

    ready: list[bytes]
    count = 0
    first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, rest = self.data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not found or len(rest) < int(length):
            return
        self.data = b""
        Answer.first = Answer.first or time.monotonic()
        Answer.count += 1
        reply = Answer.ready[Answer.count % len(Answer.ready)]
        self.transport.write(reply)  # type: ignore[attr-defined]


def serve(pipe: Connection, count: int) -> None:
    """Run the server.

    Sends its port through the pipe. After each message in the pipe, sends the time of the first
    request since the previous message.
    """
    os.sched_setaffinity(0, {1})
    # Twice as many, because some replies are rejected and no run may see a text again.
    Answer.ready = replies(2 * count)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])

        def send_time() -> None:
            pipe.recv()
            pipe.send(Answer.first)
            Answer.first = 0.0

        loop.add_reader(pipe.fileno(), send_time)
        await asyncio.Event().wait()

    asyncio.run(main())


async def bare(url: str, count: int) -> None:
    """A plain aiohttp loop."""
    left = iter(range(count))

    async def worker(session: aiohttp.ClientSession) -> None:
        for seed in left:
            body = {
                "model": "m",
                "messages": MESSAGES,
                "seed": seed,
                "temperature": 1.0,
                "max_tokens": 512,
            }
            async with session.post(f"{url}/chat/completions", json=body) as response:
                data = await response.json()
                assert data["choices"][0]["message"]["content"]

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*[worker(session) for _ in range(IN_FLIGHT)])


async def engine(url: str, count: int) -> None:
    """The engine of llm=server, without the generation loop."""
    left = iter(range(count))
    options = schema.LLM(
        "japagen.llm.server.Server", "server", "m", concurrency=IN_FLIGHT, base_url=url
    )
    options.sampling = {"temperature": 1.0, "max_tokens": 512}
    loaded = llm.load(options)

    async def worker() -> None:
        for seed in left:
            assert (await loaded.complete(llm.Request(messages=MESSAGES, seed=seed))).text

    await asyncio.gather(*[worker() for _ in range(IN_FLIGHT)])
    await loaded.close()


def overrides(url: str, count: int, near: float = 0.0) -> list[str]:
    """The overrides for `count` examples of the task news: nine labels, single texts."""
    small = [f"num_per_label={count // 9}", "logger=none", f"task.clean.near_duplicate={near}"]
    return [
        "task=news",
        "llm=server",
        "llm.model=m",
        f"llm.base_url={url}",
        f"llm.concurrency={IN_FLIGHT}",
        *small,
    ]


def composed(url: str, count: int, near: float = 0.0) -> DictConfig:
    """The config with these overrides."""
    with initialize_config_dir(str(schema.CONF), version_base="1.3"):
        return compose("generate", overrides=overrides(url, count, near))


def whole(cfg: DictConfig) -> None:
    """Call generate.run as the command does, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        cfg.synthetic_dir = folder
        generate.run(cfg)


def to_first_request(url: str, pipe: Connection) -> float:
    """Seconds from starting generate.py to the first request at the server."""
    pipe.send(None)
    pipe.recv()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        subprocess.run(
            [sys.executable, ROOT / "generate.py", *overrides(url, 9)],
            cwd=folder,
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    pipe.send(None)
    return float(pipe.recv()) - begin


def measure(url: str, count: int, rounds: int) -> None:
    """Print requests per second of each kind and round, and medians as ratios to bare aiohttp."""
    plain, near = composed(url, count), composed(url, count, 0.9)
    kinds = {
        "bare aiohttp": lambda: asyncio.run(bare(url, count)),
        "engine": lambda: asyncio.run(engine(url, count)),
        "whole loop": lambda: whole(plain),
        "whole loop, near duplicates": lambda: whole(near),
    }
    walls: dict[str, list[float]] = {kind: [] for kind in kinds}
    cpus: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, work in kinds.items():
            wall, cpu = time.monotonic(), time.process_time()
            work()
            walls[kind].append(count / (time.monotonic() - wall))
            cpus[kind].append(count / (time.process_time() - cpu))
    base_wall, base_cpu = (statistics.median(speeds["bare aiohttp"]) for speeds in (walls, cpus))
    for kind in kinds:
        wall, cpu = statistics.median(walls[kind]), statistics.median(cpus[kind])
        print(f"{kind:28} {wall:6.0f} requests/s {wall / base_wall:5.2f}", end="   ")
        print(f"{cpu:6.0f} by CPU time {cpu / base_cpu:5.2f}", end="   rounds: ")
        print(*(f"{value:.0f}" for value in walls[kind]))


@contextlib.contextmanager
def server(count: int) -> Iterator[tuple[str, Connection]]:
    """(address of the server, pipe that asks for the time of its first request)."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(there, count), daemon=True
    )
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/v1", here
    finally:
        process.kill()
        process.join()


def main(arguments: list[str]) -> None:
    """Measure and print, or profile."""
    profile = "--profile" in arguments
    numbers = [int(argument) for argument in arguments if argument != "--profile"]
    count, rounds = (*numbers, *(20_000, 3)[len(numbers) :])
    count -= count % 9
    schema.register()
    with server(count) as (url, pipe):
        os.sched_setaffinity(0, {0})
        if profile:
            profiler = cProfile.Profile()
            profiler.runcall(whole, composed(url, count))
            pstats.Stats(profiler).sort_stats("cumtime").print_stats("japagen", 60)
            return
        seconds = [to_first_request(url, pipe) for _ in range(3)]
        every = " ".join(f"{value:.2f}" for value in seconds)
        print(f"from the command to the first request: {min(seconds):.2f} s (of {every})")
        measure(url, count, rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
