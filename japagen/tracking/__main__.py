"""`python -m japagen.tracking sync`: send what MLflow did not take while jobs ran."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from japagen.config.secret import hidden
from japagen.tracking.connect import quiet
from japagen.tracking.unsent import FOLDER, send, waiting

# One entry of the folder: KEY.jsonl, its lock, or KEY/ with the run's files. KEY is the run's uuid4 in hexadecimal.
OURS = re.compile(r"[0-9a-f]{32}(\.jsonl|\.lock)?")


def foreign(folder: Path) -> str:
    """The name of an entry of `folder` that Unsent did not write, or ""."""
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        found = OURS.fullmatch(path.name)
        if path.is_symlink() or found is None or path.is_dir() is bool(found[1]):
            return path.name
    return ""


def leftovers(folder: Path) -> Iterator[Path]:
    """Files of runs that were sent, kept because the process ended before it deleted them."""
    for path in sorted(folder.glob("*")):
        copies = path.is_dir() and all(
            inner.is_dir() and inner.name.isdecimal() for inner in path.iterdir()
        )
        if copies and not path.with_suffix(".jsonl").exists():
            yield path


def sync(folder: Path) -> int:
    """Send every ended run that `folder` keeps; the number of those that are still there.

    Deletes only what Unsent wrote. Raises SystemExit for a folder with anything else in it.
    """
    if name := foreign(folder):
        raise SystemExit(
            f"{folder.absolute()} is not a folder of unsent runs: it contains {name!r}. Nothing was changed.\n"
            f"Give the folder {FOLDER} that the job reported: python -m japagen.tracking sync PATH/{FOLDER}"
        )
    ready, left = waiting(folder), 0
    for path in leftovers(folder):
        shutil.rmtree(path)
    running = len(list(folder.glob("*.jsonl"))) - len(ready)
    with quiet():
        for path in ready:
            try:
                print(f"sent: run {send(path)}")
            except Exception as error:  # each kind of store has errors of its own
                left += 1
                print(f"{path}: not sent: {hidden(error)[:400]}", file=sys.stderr)
    if running:
        print(
            f"{running} runs are not at an end yet, or of another machine: sync again later, or there"
        )
    if not ready and not running:
        print(f"nothing to send: {folder.absolute()} is empty")
    return left


def main() -> None:
    """The command."""
    if sys.argv[1:2] != ["sync"] or len(sys.argv) > 3:
        raise SystemExit(
            f"usage: python -m japagen.tracking sync [FOLDER]      default: ./{FOLDER}"
        )
    raise SystemExit(1 if sync(Path(sys.argv[2] if len(sys.argv) > 2 else FOLDER)) else 0)


if __name__ == "__main__":
    main()
