"""Measure one backend of a saved student: `python -m japagen.evaluation.probe`, in a process alone.

In one process the backends would share imported libraries, memory and threads.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WARM = 8  # rows before the clock starts: the first ones allocate memory and, on a GPU, load kernels


def main(question: Path, answer: Path) -> None:
    """Read what to measure from the JSON file `question`, write what was measured to `answer`.

    question: folder, backend, batch_size, examples, sample (places of rows asked one by one).
    answer: `measured` (see `evaluation.speed`), and `predictions` of all examples.
    """
    from japagen.student.predictor import Predictor

    asked = json.loads(question.read_text(encoding="utf-8"))
    examples, size = asked["examples"], int(asked["batch_size"])
    predictor = Predictor(asked["folder"], asked["backend"], "student.path")
    predictor.predict(examples[:1])
    measured = {"first_answer_seconds": age()}
    predictor.predict(examples[:WARM], size)
    measured |= one_by_one(predictor, [examples[place] for place in asked["sample"]])
    began = time.perf_counter()
    predictions = predictor.predict(examples, size)
    measured["batched"] = len(examples) / (time.perf_counter() - began)
    measured["memory_mb"] = resident() / 1e6
    text = json.dumps({"measured": measured, "predictions": predictions}, ensure_ascii=False)
    answer.write_text(text, encoding="utf-8")


def one_by_one(predictor: Any, examples: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return rows per second and latencies in ms of rows that come one at a time."""
    seconds = []
    for example in examples:
        began = time.perf_counter()
        predictor.predict([example])
        seconds.append(time.perf_counter() - began)
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {
        "batch_1": len(seconds) / sum(seconds),
        "p50_ms": 1000 * statistics.median(ordered),
        "p95_ms": 1000 * last,
    }


def age() -> float:
    """Return the seconds since this process was started."""
    import psutil

    return time.time() - float(psutil.Process().create_time())


def resident() -> int:
    """Return the bytes of memory that this process has."""
    import psutil

    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
