"""The books of a sweep: what it is, and a file for each of its jobs; shared by all its processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

log = logging.getLogger(__name__)

BOOKS, HEAD = ".sweep", "sweep.json"


def books() -> Path | None:
    """The folder with the books of the sweep that this job is of; None for a single job."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    path = Path(str(HydraConfig.get().sweep.dir)) / BOOKS
    return path if (path / HEAD).exists() else None


def begin(config: DictConfig, process: Mapping[str, str]) -> Path:
    """Open the books of the sweep that Hydra's whole `config` names; `process` says whose it is."""
    path = Path(str(config.hydra.sweep.dir)).absolute() / BOOKS
    path.mkdir(parents=True, exist_ok=True)
    write(path / HEAD, {**head(config), **process})
    return path


def head(config: DictConfig) -> dict[str, str]:
    """`name` for people, and `digest`, by which the same sweep, started again, is known."""
    experiment = str(OmegaConf.select(config, "hydra.runtime.choices.experiment") or "")
    experiment = "" if experiment in ("null", "None") else experiment
    typed = [
        str(word)
        for word in config.hydra.overrides.task
        if not str(word).startswith(("experiment=", "rerun="))
    ]
    params = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    known = json.dumps(
        [config.hydra.job.name, experiment, sorted(typed), params], sort_keys=True, default=str
    )
    name = " ".join(
        [str(config.hydra.job.name), "sweep ·", *([experiment] if experiment else []), *typed]
    )
    return {
        "name": name[:200],
        "experiment": experiment,
        "digest": hashlib.sha256(known.encode()).hexdigest()[:12],
    }


def read(path: Path) -> dict[str, Any]:
    """One of the books' files."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(path: Path, values: Mapping[str, Any]) -> None:
    """Write one of the books' files, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(dict(values), ensure_ascii=False), encoding="utf-8")
    part.replace(path)


def note(**values: Any) -> None:
    """Add to the file of the job that is running; nothing in a single job."""
    if (folder := books()) is not None:
        path = folder / f"job-{HydraConfig.get().job.num}.json"
        write(path, {**(read(path) if path.exists() else {}), **values})


def jobs(folder: Path) -> list[dict[str, Any]]:
    """What the jobs noted, in their order."""
    paths = sorted(
        folder.glob("job-*.json"), key=lambda path: int(re.sub(r"\D", "", path.stem) or 0)
    )
    return [read(path) for path in paths]


def skips(rerun: bool) -> bool:
    """Whether a job that is finished already is passed over: in a sweep, unless rerun=true."""
    return not rerun and books() is not None


@contextlib.contextmanager
def turn(name: str) -> Iterator[None]:
    """Jobs of one sweep that would do the same work do it one after the other; a single job has no one to wait for."""
    folder = books()
    if folder is None:
        yield
        return
    from filelock import FileLock, Timeout

    safe = re.sub(r"[^\w.-]", "_", name)
    lock = FileLock(folder / f"{safe}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("another job of this sweep is at the same work; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
