"""`python -m japagen.tracking sync`: send what MLflow did not take while jobs ran."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from japagen.tracking.connect import quiet
from japagen.tracking.secret import hidden
from japagen.tracking.unsent import FOLDER, send, waiting


def sync(folder: Path) -> int:
    """Send every ended run that `folder` keeps; the number of those that are still there."""
    ready, left = waiting(folder), 0
    for rest in folder.glob("*/"):  # of a run that was sent, had the end not come before they were deleted
        if not rest.with_suffix(".jsonl").exists():
            shutil.rmtree(rest)
    running = len(list(folder.glob("*.jsonl"))) - len(ready)
    with quiet():
        for path in ready:
            try:
                print(f"sent: run {send(path)}")
            except Exception as error:  # each kind of store has errors of its own
                left += 1
                print(f"{path}: not sent: {hidden(error)[:400]}", file=sys.stderr)
    if running:
        print(f"{running} runs are not at an end yet, or of another machine: sync again later, or there")
    if not ready and not running:
        print(f"nothing to send: {folder.absolute()} is empty")
    return left


def main() -> None:
    """The command."""
    if sys.argv[1:2] != ["sync"] or len(sys.argv) > 3:
        raise SystemExit(f"usage: python -m japagen.tracking sync [FOLDER]      default: ./{FOLDER}")
    raise SystemExit(1 if sync(Path(sys.argv[2] if len(sys.argv) > 2 else FOLDER)) else 0)


if __name__ == "__main__":
    main()
