"""One recorded call of MLflow: how it is made, divided when refused, and checked when read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.tracking.attempt import BYTES_PER_SECOND, LIMIT, reason
from japagen.tracking.model import upload

if TYPE_CHECKING:
    from mlflow import MlflowClient

Entry = Mapping[str, Any]
BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # items that MLflow takes at once
COPY = re.compile(r"[0-9a-f]{32}/\d+/[^/\\\0]+")  # KEY/NUMBER/NAME
# Kinds of values, by the key of an entry.
KINDS: dict[str, dict[str, type]] = {
    "batch": {"metrics": list, "params": list, "tags": list},
    "file": {"path": str, "folder": str},
    "dataset": {"dataset": list, "context": str},
    "model": {"path": str, "name": str, "made": int},
    "end": {"status": str, "time": int},
}


def apply(client: MlflowClient, run: str, entry: Entry) -> None:
    """Make the call that `entry` describes. Made twice, it has the same result as made once."""
    from mlflow import entities as new

    kind = entry["do"]
    if kind == "batch":
        metrics = [new.Metric(*values) for values in entry.get("metrics", ())]
        params = [new.Param(*values) for values in entry.get("params", ())]
        tags = [new.RunTag(*values) for values in entry.get("tags", ())]
        client.log_batch(run, metrics, params, tags)
    elif kind == "file":
        client.log_artifact(run, entry["path"], entry["folder"] or None)
    elif kind == "dataset":
        tag = new.InputTag("mlflow.data.context", entry["context"])
        client.log_inputs(run, [new.DatasetInput(new.Dataset(*entry["dataset"]), [tag])])
    elif kind == "model":
        upload(client, run, entry["name"], Path(entry["path"]), entry["made"])
    else:
        client.set_terminated(run, entry["status"], entry["time"])


def deliver(client: MlflowClient, run: str, entry: Entry) -> list[tuple[Entry, str]]:
    """Make the call; if MLflow refuses it, make it in smaller parts.

    Returns what is refused even alone, with MLflow's reason. Any other error is raised: the call
    may succeed later.
    """
    from mlflow.exceptions import MlflowException

    try:
        apply(client, run, entry)
        return []
    except MlflowException as error:
        if not final(error.error_code, entry):
            raise
        parts = halves(entry)
        if len(parts) < 2:
            return [(entry, reason(error))]
    return [refused for part in parts for refused in deliver(client, run, part)]


def final(code: str, entry: Entry) -> bool:
    """Whether MLflow's error says that the same call can never succeed."""
    # A server older than MLflow's logged models has no such address.
    old = entry["do"] == "model" and code == "ENDPOINT_NOT_FOUND"
    return old or code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")


def halves(entry: Entry) -> list[Entry]:
    """A batch as two batches of half the items; anything else, and one item alone, as it is."""
    if entry["do"] != "batch":
        return [entry]
    items = [(kind, item) for kind in BATCH for item in entry.get(kind, ())]
    if len(items) < 2:
        return [entry]
    middle = len(items) // 2
    return [batch(items[:middle]), batch(items[middle:])]


def batch(items: list[tuple[str, Any]]) -> Entry:
    """One batch of (metrics, params or tags; values)."""
    made: dict[str, Any] = {"do": "batch"}
    for kind, item in items:
        made.setdefault(kind, []).append(item)
    return made


def batches(kind: str, items: list[Any]) -> Iterator[Entry]:
    """Batches of no more items than MLflow takes at once."""
    for start in range(0, len(items), BATCH[kind]):
        yield {"do": "batch", kind: items[start : start + BATCH[kind]]}


def seconds(entry: Entry) -> float:
    """How long the call may take: longer for large uploads."""
    if entry["do"] not in ("file", "model"):
        return LIMIT
    path, size = Path(entry["path"]), 0
    with contextlib.suppress(OSError):  # another process may replace the student
        for one in path.rglob("*") if path.is_dir() else [path]:
            size += one.stat().st_size
    return LIMIT + size / BYTES_PER_SECOND


def summary(entry: Entry) -> str:
    """An entry for a log line: the metrics with their values, the rest by its keys."""
    if entry["do"] != "batch":
        return f"{entry['do']} {entry.get('path', '')}".strip()
    metrics = [f"{key}={value:g}" for key, value, *_ in entry.get("metrics", ())]
    others = [str(key) for kind in ("params", "tags") for key, _ in entry.get(kind, ())]
    return ", ".join([*metrics, *others])


def problem(entry: object, folder: Path) -> str:
    """Why `entry`, read from a file in `folder`, is not one that a run writes; "" if it is one."""
    if not isinstance(entry, dict) or str(entry.get("do")) not in KINDS:
        return "not a call that a run records"
    kinds = KINDS[str(entry["do"])]
    optional = entry["do"] == "batch"
    for key, value in entry.items():
        if key not in ("do", "why") and (key not in kinds or type(value) is not kinds[key]):
            return f"{key!r} does not belong to a call {entry['do']!r}"
    if not optional and (missing := kinds.keys() - entry.keys()):
        return f"{min(missing)!r} is missing"
    return items_problem(entry) or path_problem(entry, folder)


def items_problem(entry: Entry) -> str:
    """Why the items of a batch or of a dataset are not such items."""
    widths = {"metrics": (str, float, int, int), "params": (str, str), "tags": (str, str)}
    for kind, types in widths.items():
        for item in entry.get(kind, ()):
            if not isinstance(item, list) or tuple(map(type, item)) != types:
                return f"{kind} have an item of another form"
    dataset = entry.get("dataset", [""] * 6)
    return "" if list(map(type, dataset)) == [str] * 6 else "the dataset has another form"


def path_problem(entry: Entry, folder: Path) -> str:
    """Why the file or student that an entry names must not be uploaded."""
    if entry["do"] == "model":
        return student_problem(Path(entry["path"]))
    if entry["do"] != "file":
        return ""
    name, path = str(entry["path"]), folder / str(entry["path"])
    if not COPY.fullmatch(name) or path.name in (".", ".."):
        return f"{name!r} is not a copy that a run kept"
    if any(one.is_symlink() for one in (path, path.parent, path.parent.parent)):
        return f"{name!r} leads out of the folder"
    if not path.is_file():
        return f"{name!r} is missing"
    target = str(entry["folder"])
    outside = target.startswith("/") or ".." in target.split("/") or "\\" in target
    return f"the target folder {target!r} is not inside the run" if outside else ""


def student_problem(path: Path) -> str:
    """Why the folder `path` must not be uploaded as a student: it is none, or has links."""
    if not (path / "MLmodel").is_file():
        return ""  # `upload` notes in the run that the student is gone
    if not (path / "japagen.json").is_file():
        return f"{path} is not a saved student"
    if any(one.is_symlink() for one in (path, *path.rglob("*"))):
        return f"{path} has symbolic links"
    return ""
