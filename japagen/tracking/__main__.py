"""`python -m japagen.tracking sync`: send what MLflow did not take while jobs ran."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from japagen import stop
from japagen.job.console import shown
from japagen.job.parser import Parser, parsed
from japagen.tracking.attempt import quiet, reason
from japagen.tracking.unsent import FOLDER, has_end, refused_file, send

OURS = re.compile(r"[0-9a-f]{32}(\.jsonl|\.refused\.jsonl|\.lock)?")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parsed(parser(), arguments)
    if not options.folder:
        raise SystemExit(f"FOLDER is empty; allowed: a folder such as {FOLDER}")
    raise SystemExit(1 if sync(Path(options.folder), options.mlflow_uri) else 0)


def parser() -> Parser:
    """The options."""
    made = Parser(
        prog="python -m japagen.tracking",
        description="Send to MLflow what it did not take while jobs ran.",
    )
    made.add_argument("command", choices=["sync"])
    made.add_argument(
        "folder", nargs="?", default=FOLDER, metavar="FOLDER", help="where it is kept [%(default)s]"
    )
    made.add_argument(
        "--mlflow-uri", default="", metavar="URI", help="send everything to this store"
    )
    return made


def sync(folder: Path, uri: str = "") -> int:
    """Send every ended run that `folder` keeps; the number of those that could not be sent.

    Deletes only what runs wrote. SystemExit for a folder with anything else in it.
    """
    refuse(folder)
    if name := foreign(folder):
        raise SystemExit(
            f"{folder.absolute()} is not a folder of unsent runs: it contains {name!r}. "
            f"Nothing was changed.\nGive the folder {FOLDER} that the job reported: "
            f"python -m japagen.tracking sync PATH/{FOLDER}"
        )
    for path in leftovers(folder):
        shutil.rmtree(path)
    kept = [path for path in sorted(folder.glob("*.jsonl")) if OURS.fullmatch(path.name)]
    kept = [path for path in kept if not path.name.endswith(".refused.jsonl")]
    ended = [path for path in kept if has_end(path)]
    failed = 0
    with quiet():
        for path in ended:
            failed += not sent(path, uri)
    if running := len(kept) - len(ended):
        print(
            f"{running} runs have not ended yet, or ran on another machine: "
            "sync again later, or there"
        )
    for path in sorted(folder.glob("*.refused.jsonl")):
        print(f"{path}: MLflow refused these calls for good; each line says why")
    if not kept:
        print(shown(f"nothing to send: {folder.absolute()} is empty"))
    return failed


def sent(path: Path, uri: str) -> bool:
    """Send one run and say so; whether it worked."""
    try:
        print(f"sent: run {send(path, uri)}")
        return True
    except Exception as error:  # each kind of store has its own errors
        print(f"{path}: not sent: {reason(error)}", file=sys.stderr)
        return False


def refuse(folder: Path) -> None:
    """SystemExit for what is no folder of unsent runs: a file, or a name that is too long."""
    try:
        if folder.exists():
            next(folder.iterdir(), None)
    except OSError as error:
        reason = shown(f"cannot read {folder}: {error.strerror}")
        raise SystemExit(f"{reason}. Give the folder {FOLDER} that the job reported") from None


def foreign(folder: Path) -> str:
    """The name of an entry of `folder` that no run wrote, or ""."""
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        found = OURS.fullmatch(path.name)
        if path.is_symlink() or found is None or path.is_dir() is bool(found[1]):
            return path.name
    return ""


def leftovers(folder: Path) -> Iterator[Path]:
    """Files of runs that were sent, left because the process ended before it deleted them."""
    for path in sorted(folder.glob("*")):
        copies = path.is_dir() and all(
            inner.is_dir() and inner.name.isdecimal() for inner in path.iterdir()
        )
        needed = path.with_suffix(".jsonl").exists() or refused_file(path).exists()
        if copies and not needed:
            yield path


if __name__ == "__main__":
    stop.at_once()
    main()
