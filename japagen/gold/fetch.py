"""Find the gold files of a task, and download those that are published."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

from japagen.config.error import UserError
from japagen.config.task import Gold, Task
from japagen.files import cache_dir
from japagen.gold.example import Split
from japagen.gold.source import exists

log = logging.getLogger(__name__)


class GoldMissing(UserError):
    """There is no gold data; the message says where it was searched and how to get it."""


def locate(task: Task, split: Split, gold_dir: str | None) -> Path:
    """The first file of gold.train, dev or test that exists or can be fetched.

    Nothing is downloaded into a `gold_dir` that the user names. Raises GoldMissing.
    """
    if task.gold is None:
        raise GoldMissing(
            f"task {task.name} has no gold data: "
            "add `gold:` with format, train and test to its YAML"
        )
    tried = list[str]()
    for name, path in places(task.gold, split, gold_dir):
        if not exists(path) and not gold_dir and name in task.gold.urls:
            url = task.gold.urls[name]
            failure = fetch(url, path, task.gold.sha256.get(name))
            tried.append(f"{url} could not be fetched: {failure}. ")
        if exists(path):
            return path
    names = " or ".join(name for name, _ in places(task.gold, split, gold_dir))
    if not names:
        raise GoldMissing(
            f"task {task.name}: gold.{split} names no file: "
            f"add `{split}: [FILE]` to `gold:` in its YAML"
        )
    what = f"searched for {names} in {base_of(gold_dir)}. {''.join(tried)}"
    raise missing(task.name, split, what, task.gold.how)


def missing(name: str, split: str, what: str, how: str) -> GoldMissing:
    """The error for gold data that is not there: `what` was tried, and `how` to get it."""
    action = "put it into a folder and name that"
    if how:
        action = f"{how.rstrip('. ')}; then name the folder around it"
    return GoldMissing(
        f"no gold {split} data for task {name}: {what.strip()} "
        f"To get it: {action}: export JAPAGEN_DATA=FOLDER"
    )


def base_of(gold_dir: str | None) -> Path:
    """The folder that relative names of gold files start from."""
    return Path(gold_dir).expanduser().absolute() if gold_dir else cache_dir() / "gold"


def places(gold: Gold, split: Split, gold_dir: str | None) -> list[tuple[str, Path]]:
    """(name in the YAML, path) of each file that may have a split; absolute and ~ names stay."""
    names: list[str] = getattr(gold, split)
    return [(name, base_of(gold_dir) / Path(name).expanduser()) for name in names]


@functools.cache
def fetch(url: str, path: Path, sha256: str | None) -> str:
    """Download `url` to `path`, whole or not at all. One try per process.

    Returns why it failed, or "". `sha256`: what the file must have; None accepts any file.
    """
    import pooch
    import requests

    log.info("downloading %s", url)
    pooch.get_logger().setLevel(logging.WARNING)  # its own lines repeat ours
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Pooch writes a temporary file, checks it and moves it into place.
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(timeout=10),
        )
    except (OSError, ValueError, requests.RequestException) as error:
        return f"{error}" or type(error).__name__
    return ""
