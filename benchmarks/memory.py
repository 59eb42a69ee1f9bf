"""Peak memory of generate.py for a dataset and for one that is ten times as large.

    python benchmarks/memory.py [examples] [overrides of generate.py ...]

Uses the fake engine and a task of single sentences. Near-duplicate search is off unless an
override turns it on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LABELS = 2


def peak(examples: int, folder: Path, overrides: list[str]) -> tuple[float, float]:
    """(peak MB, seconds) of one generation in a separate process."""
    fixed = [
        "task=marc_ja",
        "llm=fake",
        "task.clean.near_duplicate=0",
        f"num_per_label={examples // LABELS}",
        f"synthetic_dir={folder}",
    ]
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "generate.py"), *fixed, *overrides],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"generate.py ended with {status}")
    return usage.ru_maxrss / 1024, time.monotonic() - begin


def main() -> None:
    """Measure and print."""
    large = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else 200_000
    overrides = [word for word in sys.argv[1:] if not word.isdigit()]
    found = {}
    for examples in (large // 10, large):
        with tempfile.TemporaryDirectory() as folder:
            found[examples], seconds = peak(examples, Path(folder), overrides)
            print(
                f"{examples} examples: peak {found[examples]:.0f} MB, {seconds:.0f} s", flush=True
            )
    print(f"ratio {found[large] / found[large // 10]:.2f}")


if __name__ == "__main__":
    main()
