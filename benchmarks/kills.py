"""Kill real jobs at random moments, repeat their commands, and compare with undisturbed jobs.

    python benchmarks/kills.py [kills] [--seed N] [--only JOB ...] [--minutes M]

The kills are spread over four jobs: `generate` (fake LLM with errors and malformed replies),
`train` (student `tiny` on a synthetic dataset, a checkpoint every few steps), `evaluate` (the fake
LLM prompted on gold rows that this script writes) and `sweep` (a Hydra multirun of generate.py with
a new MLflow store). Two of them run at the same time. Each moment is drawn from the whole duration
of the undisturbed job, imports and exit included. 70 % of the signals are SIGKILL, the others
SIGTERM and SIGINT. After at most six kills the same command runs to its end in the same folder, and
the next kills begin in a new one. A job begins no new folder after `--minutes`.

Compared: bytes of tables, weights and predictions; entries of journals (none twice);
MLflow runs (one FINISHED per job of the sweep and one for the sweep, none left RUNNING); temporary
files (none left). Prints one line per job; the exit code is 1 if anything differs or a repeated
command fails, and the folders then stay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PER_FOLDER = 6
ROWS = 150  # per label of the dataset for trainings
SIGNALS = {signal.SIGKILL: 0.7, signal.SIGTERM: 0.15, signal.SIGINT: 0.15}
FAKE = ["task=jcola", "llm=fake"]
RUNS = """
    select runs.status, stage.value, seed.value from runs
    join tags stage on stage.run_uuid = runs.run_uuid and stage.key = 'stage'
    left join params seed on seed.run_uuid = runs.run_uuid and seed.key = 'seed'
    where runs.lifecycle_stage = 'active'
"""
Facts = Mapping[str, object]


@dataclass
class Job:
    """One command: the script and its options."""

    name: str
    words: Sequence[str]


@dataclass
class Count:
    """What happened to one job."""

    kills: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    tracebacks: int = 0  # printed after SIGTERM or SIGINT
    lost: list[str] = field(default_factory=list)


def files(folder: Path, *names: str) -> dict[str, object]:
    """The bytes of all files below `folder` with one of these names, by path."""
    found = (path for name in names for path in folder.rglob(name))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def entries(folder: Path) -> dict[str, object]:
    """How many replies or answers of each journal were written twice."""
    out: dict[str, object] = {}
    for path in folder.rglob("journal.jsonl"):
        rows = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
        rows = [row for row in rows if "k" in row or "id" in row]  # not what a job spent
        keys = [(row.get("k", row.get("id")), row.get("attempt")) for row in rows]
        out[f"{path.relative_to(folder)}: twice"] = len(keys) - len(set(keys))
    return out


def runs(folder: Path) -> dict[str, object]:
    """MLflow: (stage, seed) of all finished runs, and the number of runs that seem to run."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as store:
        rows = store.execute(RUNS).fetchall()
    finished = sorted((stage, str(seed)) for status, stage, seed in rows if status == "FINISHED")
    return {"finished": finished, "running": sum(row[0] == "RUNNING" for row in rows)}


def facts_of(folder: Path) -> Facts:
    """All that must equal the facts of the undisturbed job."""
    names = ("train.jsonl", "model.safetensors", "predictions.jsonl")
    stored = runs(folder) if (folder / "mlflow.db").exists() else {}
    left = [path for name in ("*.part", ".part-*", "*.tmp") for path in folder.rglob(name)]
    return {**files(folder, *names), **entries(folder), **stored, "temporary files": sorted(left)}


def write_gold(folder: Path) -> None:
    """JCoLA files whose label is which of two animals the sentence names."""
    draw, words = random.Random(0), ["赤い", "小さな", "公園の", "うちの", "かわいい", "遠くの"]
    for part, number in (("train", 100), ("valid", 300)):
        path = folder / f"jcola-v1.0/in_domain_{part}-v1.0.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            for n in range(number):
                text = f"{n}番目の{draw.choice(words)}{draw.choice(words)}{'猫犬'[n % 2]}がいる。"
                file.write(json.dumps({"uid": n, "sentence": text, "label": n % 2}) + "\n")


def jobs(base: Path) -> list[Job]:
    """The four jobs; their shared inputs are in `base`."""
    gold = f"gold_dir={base / 'gold'}"
    slow = "llm.engine.latency=0.02"
    bad = ["llm.engine.malformed_rate=0.05", "max_attempts=50", "task.clean.near_duplicate=0.4"]
    bad += ["llm.engine.error_rate=0.005", "num_per_label=400", "logger=none"]
    trainer = ["student=tiny", "trainer=cpu", "trainer.max_epochs=4", "trainer.min_steps=100"]
    trainer += ["trainer.save_steps=7", "trainer.options.precision=32-true"]
    made = [*FAKE, f"num_per_label={ROWS}", f"synthetic_dir={base / 'synthetic'}", "logger=none"]
    return [
        Job("sweep", ["generate.py", "-m", *FAKE, slow, "num_per_label=40", "seed=range(4)"]),
        Job("train", ["train.py", *made, gold, *trainer]),
        Job("generate", ["generate.py", *FAKE, slow, *bad]),
        Job("evaluate", ["evaluate.py", "subject=prompting", *FAKE, slow, gold, "logger=none"]),
    ]


def start(job: Job, folder: Path) -> subprocess.Popen[str]:
    """The job's command as a process group of its own."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "JAPAGEN_CACHE": str(folder.parent / "cache"),
    }
    environment.pop("JAPAGEN_DATA", None)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command = [sys.executable, str(ROOT / job.words[0]), *job.words[1:]]
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, start_new_session=True, **pipes
    )


def whole(job: Job, folder: Path) -> tuple[int, str, float]:
    """Run the command to its end: (exit code, what it printed, seconds)."""
    began = time.monotonic()
    process = start(job, folder)
    printed, _ = process.communicate(timeout=300)
    return process.returncode, printed, time.monotonic() - began


def kill(job: Job, folder: Path, draw: random.Random, seconds: float, count: Count) -> bool:
    """Start the command and kill it within `seconds`; False if it ended before the signal."""
    number = draw.choices(list(SIGNALS), list(SIGNALS.values()))[0]
    process = start(job, folder)
    with contextlib.suppress(subprocess.TimeoutExpired):
        printed, _ = process.communicate(timeout=draw.uniform(0, seconds))
        if process.returncode:
            count.lost.append(f"a repeated command failed in {folder}: {printed[-2000:]}")
        return False
    os.killpg(process.pid, number)
    printed, _ = process.communicate(timeout=300)
    count.kills[number.name] += 1
    count.tracebacks += "Traceback" in printed
    return True


def compare(folder: Path, expected: Facts) -> list[str]:
    """What differs from the undisturbed job."""
    found = facts_of(folder)
    names = sorted({*expected, *found})
    wrong = [name for name in names if found.get(name) != expected.get(name)]
    return [f"{folder}: {name}: {str(found.get(name))[:300]}" for name in wrong]


def disturb(job: Job, base: Path, kills: int, draw: random.Random, end: float) -> Count:
    """Kill one job `kills` times and compare each finished folder; `end`: when to stop."""
    code, printed, seconds = whole(job, base / f"{job.name}-whole")
    if code:
        raise SystemExit(f"the undisturbed {job.name} failed:\n{printed}")
    expected, count, number = facts_of(base / f"{job.name}-whole"), Count(), 0
    while count.kills.total() < kills and not count.lost and time.monotonic() < end:
        folder, number = base / f"{job.name}-{number}", number + 1
        for _ in range(min(PER_FOLDER, kills - count.kills.total())):
            if not kill(job, folder, draw, seconds, count):
                break
            count.repeats += 1
        code, printed, _ = whole(job, folder)
        if code:
            count.lost.append(f"the last command failed in {folder}: {printed[-2000:]}")
        count.lost += compare(folder, expected)
    return count


def prepare(base: Path) -> None:
    """Write the gold rows and the dataset for trainings."""
    write_gold(base / "gold")
    words = ["generate.py", *FAKE, f"num_per_label={ROWS}", f"synthetic_dir={base / 'synthetic'}"]
    code, printed, _ = whole(Job("first", [*words, "logger=none"]), base / "first")
    if code:
        raise SystemExit(printed)


def line(job: Job, count: Count, seconds: float) -> str:
    """One line about a job, and one for each fault."""
    kinds = ", ".join(f"{number} {name}" for name, number in sorted(count.kills.items()))
    first = (
        f"{job.name}: {count.kills.total()} kills ({kinds}), {count.repeats} repeats, "
        f"{count.tracebacks} tracebacks, {seconds:.0f} s, lost = {len(count.lost)}"
    )
    return "\n  ".join([first, *count.lost])


def main() -> int:
    """Kill, compare and print; the exit code."""
    parser = argparse.ArgumentParser(description="Kill jobs at random moments.")
    parser.add_argument("kills", type=int, nargs="?", default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=["generate", "train", "evaluate", "sweep"])
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    # A shell starts background jobs with SIGINT ignored, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    base = Path(tempfile.mkdtemp(prefix="japagen-kills-"))
    prepare(base)
    chosen = [job for job in jobs(base) if job.name in options.only]

    def work(n: int) -> int:
        job, began = chosen[n], time.monotonic()
        share = options.kills // len(chosen) + (n < options.kills % len(chosen))
        draw, end = random.Random(f"{options.seed} {job.name}"), began + 60 * options.minutes
        count = disturb(job, base, share, draw, end)
        print(line(job, count, time.monotonic() - began), flush=True)
        return len(count.lost)

    with ThreadPoolExecutor(2) as pool:
        lost = sum(pool.map(work, range(len(chosen))))
    if not lost:
        shutil.rmtree(base)
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
