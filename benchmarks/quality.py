"""Seconds and peak memory of the measures of a dataset, and of the search for near duplicates.

    python benchmarks/quality.py measures 100000     # all measures, vectors of 500 rows
    python benchmarks/quality.py duplicates 1000000  # the search, at a quarter, half and all rows

Rows are sentences of the fake engine. CPU seconds are those of this process, so that other work on
the machine changes them little.
"""

from __future__ import annotations

import functools
import random
import resource
import sys
import time
from collections.abc import Callable

from japagen.config.task import Task
from japagen.gold.example import Example
from japagen.llm.fake import sentence
from japagen.quality import diversity, embedded, measure, text
from japagen.quality.data import Data
from japagen.quality.measured import Measured

TASK = Task(name="benchmark", inputs=["sentence"], labels=["one", "other"])
VECTORS, GOLD = 500, 5000


def rows(number: int, seed: int) -> list[Example]:
    """Sentences with two labels in turn."""
    draw = random.Random(seed)
    return [
        Example(f"{TASK.labels[n % 2]}-{n:07d}", (sentence(draw),), TASK.labels[n % 2])
        for n in range(number)
    ]


def timed(title: str, work: Callable[[], object]) -> float:
    """Do the work, print its seconds and the process's peak memory; CPU seconds."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{title}: {wall:.1f} s, {cpu:.1f} s of CPU, peak {peak:.0f} MB", flush=True)
    return cpu


def measures(number: int) -> None:
    """Measure part after part, as `measure.whole` does."""
    found = Measured(Data(TASK, rows(number, 0), rows(GOLD, 1), rows(GOLD, 2)))
    parts: dict[str, Callable[[], object]] = {
        "text alone": lambda: text.measure(found),
        "words": lambda: measure.worded(found),
        "classifiers": lambda: measure.classified(found),
        f"vectors of {VECTORS} rows": lambda: embedded.measure(found, VECTORS),
    }
    seconds = sum(timed(f"{number} rows, {title}", work) for title, work in parts.items())
    print(f"together {seconds:.0f} s of CPU")


def duplicates(number: int) -> None:
    """Search for near duplicates in a quarter, half and all of the rows."""
    texts = [row.texts for row in rows(number, 0)]
    seconds = [
        timed(f"{size} texts", functools.partial(diversity.duplicates, texts[:size]))
        for size in (number // 4, number // 2, number)
    ]
    print(f"four times the texts take {seconds[-1] / seconds[0]:.2f} times the CPU time")


def main() -> None:
    """Run what the arguments name."""
    works = {"measures": measures, "duplicates": duplicates}
    works[sys.argv[1]](int(sys.argv[2]))


if __name__ == "__main__":
    main()
