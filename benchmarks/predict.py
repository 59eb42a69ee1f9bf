"""Memory and speed of `japagen predict` on many rows, with two kills on the way.

    PYTHONPATH=. python benchmarks/predict.py FOLDER [--rows 1000000] [--chunk 8192]
        [--backend auto] [--threads N] [--seed 0] [--folder TMP]

FOLDER is a saved student with one or more inputs. Writes synthetic Japanese rows of 5 to 40
characters as parquet into a temporary folder, runs the command in a separate process, kills it
with SIGKILL at two random moments, repeats it, and checks that every id is in the output once and
in order and that every row has a prediction.

Prints rows per second of each attempt (with and without the start of the process), the peak
resident memory in the first and in the last tenth of the rows, and the seconds from the start of
an attempt to its first new part.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ["今日", "は", "天気", "が", "よい", "駅", "から", "歩い", "て", "店", "に", "行っ", "た"]
WORDS += ["料理", "とても", "おいしかっ", "静か", "な", "部屋", "で", "本", "を", "読む"]
BLOCK = 50_000  # rows written at a time
EVERY = 0.1  # seconds between two samples


@dataclass
class Sample:
    """Seconds since the start of the attempt, rows in finished parts, resident MiB."""

    seconds: float
    rows: int
    memory: float


def main() -> None:
    """Write the rows, run the attempts, check the output and print the figures."""
    options = parser().parse_args()
    card = json.loads((options.student / "japagen.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write(folder / "in.parquet", options.rows, card["task"]["inputs"], options.seed)
        samples = attempts(options, folder)
        check(folder / "out.parquet", options.rows)
        tenths(samples, options.rows)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(description="Memory and speed of japagen predict.")
    made.add_argument("student", type=Path, metavar="FOLDER")
    made.add_argument("--rows", type=int, default=1_000_000)
    made.add_argument("--chunk", type=int, default=8192)
    made.add_argument("--backend", default="auto")
    made.add_argument("--threads", type=int)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--folder", type=Path, help="where the temporary folder is made")
    return made


def write(path: Path, rows: int, inputs: Sequence[str], seed: int) -> None:
    """Write rows with an id and a text for each input, a block at a time."""
    chance = random.Random(seed)
    schema = pa.schema([("id", pa.int64()), *((name, pa.string()) for name in inputs)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, BLOCK):
            ids = range(start, min(start + BLOCK, rows))
            texts = [[text(chance) for _ in ids] for _ in inputs]
            writer.write_table(pa.table([list(ids), *texts], schema=schema))


def text(chance: random.Random) -> str:
    """Return 5 to 40 characters."""
    length = chance.randint(5, 40)
    return "".join(chance.choices(WORDS, k=length))[:length]


def attempts(options: argparse.Namespace, folder: Path) -> list[Sample]:
    """Run the command, kill it at two random shares of the rows, and let it end."""
    chance = random.Random(options.seed + 1)
    kills = sorted(chance.uniform(0.1, 0.9) for _ in range(2))
    found = list[Sample]()
    for number, share in enumerate([*kills, None], 1):
        before = len(found)
        limit = None if share is None else round(share * options.rows)
        found.extend(attempt(options, folder, limit))
        said(number, found[before:])
    return found


def attempt(options: argparse.Namespace, folder: Path, limit: int | None) -> Iterator[Sample]:
    """Run the command until it ends, or kill it when `limit` rows are in finished parts."""
    files = ["--input", str(folder / "in.parquet"), "--output", str(folder / "out.parquet")]
    words = ["--chunk", str(options.chunk), "--backend", options.backend]
    words += ["--threads", str(options.threads)] if options.threads else []
    command = [sys.executable, "-m", "japagen", "predict", str(options.student), *files, *words]
    start = time.monotonic()
    process = psutil.Popen(command)
    while process.poll() is None:
        time.sleep(EVERY)
        rows = finished(folder / "out.parquet.parts" / "job.json")
        memory = resident(process)
        if rows is not None and memory:
            yield Sample(time.monotonic() - start, rows, memory)
            if limit is not None and rows >= limit:
                process.send_signal(signal.SIGKILL)
                process.wait()
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the command failed: {process.returncode}")


def finished(state: Path) -> int | None:
    """Return the rows in finished parts, None before there is a job."""
    try:
        rows: int = json.loads(state.read_text(encoding="utf-8"))["rows"]
    except FileNotFoundError:
        return None
    return rows


def resident(process: psutil.Popen) -> float:
    """Return MiB in use; 0 if the process ended."""
    try:
        return float(process.memory_info().rss) / (1 << 20)
    except psutil.NoSuchProcess:
        return 0.0


def said(number: int, samples: Sequence[Sample]) -> None:
    """Print the speed of an attempt."""
    first, last = samples[0], samples[-1]
    rows = last.rows - first.rows
    new = next((one for one in samples if one.rows > first.rows), last)
    steady = (last.rows - new.rows) / max(last.seconds - new.seconds, 1e-9)
    print(
        f"attempt {number}: rows {first.rows:,} to {last.rows:,}, {last.seconds:.1f} s, "
        f"{rows / last.seconds:,.0f} rows/s with the start, {steady:,.0f} rows/s without, "
        f"first new part after {new.seconds:.1f} s",
        flush=True,
    )


def check(output: Path, rows: int) -> None:
    """Stop with a message unless every id is there once, in order, with a prediction."""
    expected = 0
    for batch in pq.ParquetFile(output).iter_batches(columns=["id", "predicted", "error"]):
        ids = batch["id"].to_pylist()
        if ids != list(range(expected, expected + len(ids))):
            raise SystemExit(f"ids are wrong after row {expected:,}")
        if batch["predicted"].null_count or any(batch["error"].to_pylist()):
            raise SystemExit(f"rows without a prediction after row {expected:,}")
        expected += len(ids)
    if expected != rows:
        raise SystemExit(f"{expected:,} rows instead of {rows:,}")
    print(f"{rows:,} rows: every id once, in order, with a prediction")


def tenths(samples: Sequence[Sample], rows: int) -> None:
    """Print the peak memory in the first and the last tenth of the rows."""
    first = max(one.memory for one in samples if one.rows <= rows / 10)
    last = max(one.memory for one in samples if one.rows >= rows * 9 / 10)
    print(f"peak memory: {first:,.0f} MiB in the first tenth, {last:,.0f} MiB in the last tenth")


if __name__ == "__main__":
    main()
