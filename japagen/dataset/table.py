"""The finished table of a synthetic dataset, its manifest and its soft labels, read and written."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.dataset.identity import Dataset
from japagen.files import LINE
from japagen.gold.example import Example

log = logging.getLogger(__name__)

# Of a manifest, what other code reads, and of which type it is.
REQUIRED: dict[str, type] = {
    "num_per_label": int,
    "missing": dict,
    "shots_digest": str,
    "accepted": int,
    "rejected_by_reason": dict,
}
SEAL = "manifest_sha256"  # the key of the manifest's own checksum
TABLE, SOFT, MANIFEST, CARD = "train.jsonl", "soft.jsonl", "manifest.json", "README.md"
PARQUET = "train.parquet"  # the same rows as TABLE
DERIVED = (PARQUET, CARD)  # made from TABLE and MANIFEST
FILES = "files_sha256"  # the manifest's checksums of DERIVED and SOFT, by name
UPLOADED = (TABLE, PARQUET, SOFT, MANIFEST, CARD)  # without the journal and the lock


def read(dataset: Dataset) -> list[Example]:
    """Return the first num_per_label examples of each label, in plan order.

    Raises UserError with the command that makes them.
    """
    path = dataset.folder
    manifest = read_manifest(path)
    if manifest is None or manifest["num_per_label"] < dataset.num_per_label:
        have = (
            "is not there"
            if manifest is None
            else f"has {manifest['num_per_label']} examples per label, not {dataset.num_per_label}"
        )
        raise UserError(f"The synthetic dataset {path} {have}. Make it with:\n  {dataset.command}")
    if not is_intact(path, manifest):
        raise UserError(
            f"{path / TABLE} is damaged or was edited: it is not the table that generate.py wrote. "
            f"To make it again from the stored replies, run:\n  {dataset.command}"
        )
    missing = sum(manifest["missing"].values())
    if missing:
        log.warning(
            "%s was finished with %d examples missing (max_shortfall): %s",
            path,
            missing,
            manifest["missing"],
        )
    return list(asked(dataset))


def asked(dataset: Dataset) -> Iterator[Example]:
    """Yield the examples of a finished dataset that num_per_label asks for."""
    return (
        example
        for example in read_table(dataset.folder / TABLE, dataset.task)
        if number(example.id) < dataset.num_per_label
    )


def number(name: str) -> int:
    """Return the number of a synthetic example within its label, from its id."""
    return int(name.rpartition("-")[2])


def read_table(path: Path, task: Task) -> Iterator[Example]:
    """Yield the examples of a finished table, one per line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield Example(row["id"], tuple(row[name] for name in task.inputs), row["label"])


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a finished dataset, or None if it is not finished or damaged."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not is_manifest(manifest):
            raise ValueError("it is not a manifest")
        # Manifests of earlier versions have no checksum.
        if manifest.pop(SEAL, None) not in (None, seal(manifest)):
            raise ValueError("its checksum is another")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:  # also text that is not UTF-8
        log.warning("%s is damaged (%s): generate.py makes it again", path / MANIFEST, error)
        return None
    return manifest


def is_manifest(found: object) -> bool:
    """Whether a JSON value has what other code reads of a manifest."""
    return (
        isinstance(found, dict)
        and all(isinstance(found.get(key), kind) for key, kind in REQUIRED.items())
        and all(type(count) is int for count in found["missing"].values())
    )


def seal(manifest: Mapping[str, Any]) -> str:
    """Return the checksum of a manifest's values, by which a changed byte is noticed."""
    text = json.dumps(json.loads(json.dumps(manifest)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, "" if there is none."""
    if not path.exists():
        return ""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            found.update(chunk)
    return found.hexdigest()


def is_intact(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the table in the folder `path` is the one that the manifest was written for."""
    known = manifest.get("table_sha256")
    return known is None or checksum(path / TABLE) == known


def changed(path: Path, manifest: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return those of the files `names` that are not as they were when the manifest was written.

    A manifest of an earlier version has no checksums of them: then only absent ones.
    """
    known = manifest.get(FILES)
    if not isinstance(known, dict):
        return [name for name in names if name != SOFT and not (path / name).exists()]
    return [name for name in names if checksum(path / name) != known.get(name, "")]


def rows(examples: Iterable[Example], task: Task) -> Iterator[dict[str, str]]:
    """Yield examples as rows with the columns id, each of task.inputs, and label."""
    for example in examples:
        yield {
            "id": example.id,
            **dict(zip(task.inputs, example.texts, strict=True)),
            "label": example.label,
        }


def writer(table: IO[str], task: Task) -> Callable[[str, Sequence[str], str, str], None]:
    """Return a function that writes an example as the next line of `table`.

    Its arguments are id, texts, label and, with llm=mixed, the LLM's name.
    """

    def write(identifier: str, texts: Sequence[str], label: str, llm: str) -> None:
        row = {"id": identifier, **dict(zip(task.inputs, texts, strict=True)), "label": label}
        row |= {"llm": llm} if llm else {}
        table.write(LINE.encode(row) + "\n")

    return write


class Soft:
    """soft.jsonl: the verifier's probability of every label for each example.

    In the order of task.labels. No file is written if no probabilities are known.
    """

    def __init__(self, folder: Path) -> None:
        self.part, self.whole = folder / f"{SOFT}.part", folder / SOFT
        self.file: IO[str] | None = None

    def write(self, identifier: str, probabilities: Sequence[float]) -> None:
        """Append the probabilities of one accepted example."""
        self.file = self.file or self.part.open("w", encoding="utf-8")
        self.file.write(LINE.encode({"id": identifier, "probabilities": probabilities}) + "\n")

    def __enter__(self) -> Soft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.file is not None:
            self.file.close()

    def finish(self) -> None:
        """Publish what was written."""
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.part.replace(self.whole)
