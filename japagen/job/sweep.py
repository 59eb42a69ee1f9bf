"""The state of a sweep: a folder with what it is and a file for each job, for all processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from japagen.config.error import UserError
from japagen.job.typed import typed

if TYPE_CHECKING:
    from filelock import FileLock

log = logging.getLogger(__name__)

STATE, HEAD = ".sweep", "sweep.json"


def state_folder() -> Path | None:
    """The state folder of the sweep that runs this job; None for a single job."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    path = Path(str(HydraConfig.get().sweep.dir)) / STATE
    return path if (path / HEAD).exists() else None


def begin(config: DictConfig, process: Mapping[str, str]) -> tuple[Path, FileLock]:
    """Create the state folder of a sweep; the folder, and a lock to keep until the sweep ends.

    `config` is Hydra's whole config, `process` identifies the process. Raises UserError if another
    running sweep has the same folder: their jobs would be mixed.
    """
    from filelock import FileLock, Timeout

    path = Path(str(config.hydra.sweep.dir)).absolute() / STATE
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / "running.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another sweep is running in {path.parent}; wait until it ends, or give this one "
            "another folder: hydra.sweep.dir=FOLDER"
        ) from None
    write(path / HEAD, {**head(config), **process})
    return path, lock


def head(config: DictConfig) -> dict[str, str]:
    """`name` for people, and `digest`, which is equal when the same sweep is started again."""
    experiment = str(OmegaConf.select(config, "hydra.runtime.choices.experiment") or "")
    experiment = "" if experiment in ("null", "None") else experiment
    words = [
        word
        for word in typed(config.hydra.overrides.task)
        if not word.startswith(("experiment=", "rerun="))
    ]
    sweeper = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    params = sweeper.get("params") if isinstance(sweeper, dict) else {}
    known = json.dumps(
        [config.hydra.job.name, experiment, sorted(words), sweeper], sort_keys=True, default=str
    )
    name = " ".join(
        [str(config.hydra.job.name), "sweep ·", *([experiment] if experiment else []), *words]
    )
    return {
        "name": name[:200],
        "experiment": experiment,
        "digest": hashlib.sha256(known.encode()).hexdigest()[:12],
        "varied": " ".join(
            varied([*words, *(f"{key}={one}" for key, one in (params or {}).items())])
        ),
    }


def varied(words: Iterable[str]) -> list[str]:
    """The options to which the sweep gives several values: `a,b`, or a function as `range(3)`."""
    found = []
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        # A list, as in seeds=[0,1], is one value.
        outside = re.sub(r"\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'", "", value)
        if re.search(r",|^\s*(choice|range|interval|glob|shuffle|sort)\(", outside):
            found.append(key)
    return found


def read(path: Path) -> dict[str, Any]:
    """A file of the state folder."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file of the state folder, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(dict(values), ensure_ascii=False), encoding="utf-8")
    part.replace(path)


def note(**values: Any) -> None:
    """Add `values` to the file of the running job; does nothing in a single job."""
    if (folder := state_folder()) is not None:
        path = folder / f"job-{HydraConfig.get().job.num}.json"
        write(path, {**(read(path) if path.exists() else {}), **values})


def jobs(folder: Path) -> list[dict[str, Any]]:
    """The files of all jobs, in the order of their numbers."""
    paths = sorted(
        folder.glob("job-*.json"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0)
    )
    return [read(path) for path in paths]


def skips(rerun: bool) -> bool:
    """Whether a finished job is skipped: in a sweep, unless rerun=true."""
    return not rerun and state_folder() is not None


@contextlib.contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Run the body in one job of this sweep at a time; jobs with the same `name` wait.

    A single job does not wait.
    """
    folder = state_folder()
    if folder is None:
        yield
        return
    from filelock import FileLock, Timeout

    safe = re.sub(r"[^\w.-]", "_", name)
    lock = FileLock(folder / f"{safe}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another job of this sweep does the same work; waiting until it ends")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
