"""Where the gold files of a task are, and how they are downloaded."""

from __future__ import annotations

import functools
import logging
import shutil
import tempfile
from pathlib import Path

from japagen.config.error import UserError
from japagen.config.task import Gold, Task
from japagen.files import cache_dir
from japagen.gold.example import Split
from japagen.gold.source import exists

log = logging.getLogger(__name__)


class GoldMissing(UserError):
    """No gold data where it was looked for; the message says how to get it."""


def locate(task: Task, split: Split, gold_dir: str | None) -> Path:
    """The first file of gold.train or gold.test that exists, fetched if it may be. Raises GoldMissing."""
    if task.gold is None:
        raise GoldMissing(
            f"task {task.name} has no gold data: add `gold:` with format, train and test to its YAML"
        )
    tried = list[str]()
    for name, path in places(task.gold, split, gold_dir):
        if not exists(path) and not gold_dir and name in task.gold.urls:
            tried.append(
                f"{task.gold.urls[name]} could not be fetched: {fetch(task.gold.urls[name], path)}. "
            )
        if exists(path):
            return path
    names = " or ".join(name for name, _ in places(task.gold, split, gold_dir))
    if not names:
        raise GoldMissing(
            f"task {task.name}: gold.{split} names no file: add `{split}: [FILE]` to `gold:` in its YAML"
        )
    raise missing(
        task.name,
        split,
        f"looked for {names} in {base_of(gold_dir)}. {''.join(tried)}",
        task.gold.how,
    )


def missing(name: str, split: str, what: str, how: str) -> GoldMissing:
    """The one wording for gold data that is not there."""
    mend = (
        f"{how.rstrip('. ')}; then name the folder around it"
        if how
        else "put it into a folder and name that"
    )
    what = f"no gold {split} data for task {name}: {what.strip()}"
    return GoldMissing(f"{what} To have it: {mend}: export JAPAGEN_DATA=FOLDER")


def base_of(gold_dir: str | None) -> Path:
    """Where relative names of gold files start."""
    return Path(gold_dir).expanduser().absolute() if gold_dir else cache_dir() / "gold"


def places(gold: Gold, split: Split, gold_dir: str | None) -> list[tuple[str, Path]]:
    """(name in the YAML, path) of each file that may hold a split; an absolute or ~ name stays as it is."""
    names: list[str] = getattr(gold, split)
    return [(name, base_of(gold_dir) / Path(name).expanduser()) for name in names]


@functools.cache
def fetch(url: str, path: Path) -> str:
    """Download `url` to `path`, whole or not at all; says why it failed, or nothing. One try a process."""
    import http.client
    import urllib.request

    log.info("fetching %s", url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=path.parent) as folder,
            urllib.request.urlopen(url, timeout=10) as reply,
        ):
            part = Path(folder) / path.name
            with part.open("wb") as file:
                shutil.copyfileobj(reply, file)
            # A connection that ends early looks like the end of the file.
            size, length = part.stat().st_size, reply.headers.get("Content-Length")
            if length is not None and size != int(length):
                return f"the connection broke after {size} of {length} bytes"
            part.replace(path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{error}" or type(error).__name__
    return ""
