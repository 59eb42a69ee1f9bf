"""A synthetic dataset on disk: journal, manifest, finished table; crash-safe."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from hydra.core.hydra_config import HydraConfig

from japagen import sweep
from japagen.config import LLM, Config, UserError
from japagen.gold import Example
from japagen.task import Task

log = logging.getLogger(__name__)

# Raise it when prompt.py, clean.py, duplicate.py or generate.py change which text comes out of the same options:
# the fingerprint then differs, and old replies are never mixed with new ones.
FORMAT = 2

# Engine options that choose other weights, another tokenizer or another template; the rest change speed alone.
TEXTUAL = {"quantization", "dtype", "revision", "tokenizer", "tokenizer_revision", "hf_overrides", "chat_template", "lora_adapters"}

LINE = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each line

JOURNAL, TABLE, SOFT, MANIFEST, CARD = "journal.jsonl", "train.jsonl", "soft.jsonl", "manifest.json", "README.md"


def identity(config: Config) -> dict[str, Any]:
    """All that changes the text of a synthetic dataset; num_per_label only says how far to go."""
    task = dataclasses.asdict(config.task)
    keys = ["name", "kind", "inputs", "labels", "wording", "clean"]
    if config.prompt.knowledge:
        keys.append("knowledge")
    return {
        "format": FORMAT,
        "task": {key: task[key] for key in keys},
        "prompt": {key: getattr(config.prompt, key) for key in ("name", "knowledge", "premise", "joint")},
        "llm": llm_identity(config.llm),
        "filter": filtering(config),
        "shots": config.shots,
        "shots_scope": config.shots_scope,
        "seed": config.seed,
    }


def llm_identity(llm: LLM) -> dict[str, Any]:
    """All of an LLM that changes what it says."""
    kept = {key: getattr(llm, key) for key in ("_target_", "model", "chat", "sampling")}
    if engine := {key: value for key, value in llm.engine.items() if key in TEXTUAL}:
        kept["engine"] = engine
    return kept


def filtering(config: Config) -> dict[str, Any]:
    """The filter in the identity: a student by the name of its folder, which says what made it, wherever it lies."""
    options = dataclasses.asdict(config.filter)
    student = options.pop("student")
    return {**options, "student": Path(student).name} if student else options


def fingerprint(config: Config) -> str:
    """Ten hexadecimal digits that differ where anything in identity(config) differs."""
    return digest(identity(config))


def digest(named: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits that differ where anything in `named` differs."""
    text = json.dumps(named, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def folder(config: Config) -> Path:
    """Where the dataset that `config` names lies."""
    choices = [config.llm.name, config.prompt.name, f"{config.shots}shot", config.filter.name, f"seed{config.seed}"]
    return Path(config.synthetic_dir) / config.task.name / "-".join([*choices, fingerprint(config)])


def read(config: Config) -> list[Example]:
    """The first num_per_label examples of each label, in plan order; UserError names the command that makes them."""
    path = folder(config)
    manifest = read_manifest(path)
    if manifest is None or manifest["num_per_label"] < config.num_per_label:
        have = "is not there" if manifest is None else f"has {manifest['num_per_label']} examples per label, not {config.num_per_label}"
        raise UserError(f"The synthetic dataset {path} {have}. Make it with:\n  {generate_command(config)}")
    missing = sum(manifest["missing"].values())
    if missing:
        log.warning("%s was finished with %d examples missing (max_shortfall): %s", path, missing, manifest["missing"])
    return list(asked(config))


def asked(config: Config) -> Iterator[Example]:
    """The examples of a finished dataset that num_per_label asks for, one after the other."""
    return (example for example in read_table(folder(config) / TABLE, config.task) if number(example) < config.num_per_label)


def number(example: Example) -> int:
    """The place of a synthetic example within its label, from its id."""
    return int(example.id.rpartition("-")[2])


def read_table(path: Path, task: Task) -> Iterator[Example]:
    """The examples of a finished table, one a line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield Example(row["id"], tuple(row[name] for name in task.inputs), row["label"])


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a finished dataset, or None where it was not finished."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return manifest


def generate_command(config: Config) -> str:
    """The generate.py command with the overrides of this job that generate.py knows."""
    groups = {"task": config.task.name, "llm": config.llm.name, "prompt": config.prompt.name, "filter": config.filter.name}
    words = [f"{key}={value}" for key, value in groups.items() if value != "none"]
    words += [f"shots={config.shots}", f"seed={config.seed}", f"num_per_label={config.num_per_label}"]
    known = {item.name for item in dataclasses.fields(Config)}
    for override in task_overrides():
        key = override.partition("=")[0].lstrip("+")
        if "=" in override and key.split(".")[0] in known and not any(word.startswith(f"{key}=") for word in words):
            words.append(f"'{override}'" if any(c in override for c in " {}[]()'\"$") else override)
    return " ".join(["python generate.py", *config_dir_flag(), *words])


def task_overrides() -> list[str]:
    """What was typed behind the command; nothing outside a Hydra job."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def config_dir_flag() -> list[str]:
    """--config-dir as it was typed, so that the command finds a task from outside."""
    if not HydraConfig.initialized():
        return []
    sources = HydraConfig.get().runtime.config_sources
    return [f"--config-dir {source.path}" for source in sources if source.provider == "command-line"]


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def shots_head(shots: Mapping[str, Sequence[Example]]) -> dict[str, Any]:
    """What a journal and a manifest say of the shots: their ids, and a digest of their texts, which an edited gold file changes."""
    rows = [[label, *shot.texts] for label, drawn in shots.items() for shot in drawn]
    digest = hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:16] if rows else ""
    return {"shots": {label: [shot.id for shot in drawn] for label, drawn in shots.items()}, "shots_digest": digest}


class Journal:
    """Every reply of one dataset, in the order of arrival, a flushed JSON line each.

    The first line names the dataset: a journal of other options is never continued. A torn last line is dropped.
    Only one process may hold it; a job of a sweep waits for its turn.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path, self.head = path, dict(head)
        self.file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        from filelock import FileLock, Timeout

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.path.with_suffix(".lock"))
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            if sweep.books() is None:
                told = f"Another process is writing {self.path.parent}; wait for it, or stop it and type the same command."
                raise UserError(told) from None
            log.info("another process is writing %s; waiting for it", self.path.parent)
            self.lock.acquire()
        try:
            self.mend()
            self.file = self.path.open("ab")
            if self.path.stat().st_size == 0:
                self.write(self.head)
        except BaseException:
            self.lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.file is not None:
            self.file.close()
        self.lock.release()

    def mend(self) -> None:
        """Cut off a last line that was not written whole."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            size = end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 65536)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    end = start + found + 1
                    break
                end = start
            if end < size:
                file.truncate(end)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The replies so far; UserError for a journal that is of other options or damaged in its middle."""
        with self.path.open("rb") as file:
            for row, line in enumerate(file, 1):
                try:
                    entry = json.loads(line.decode())
                except ValueError as error:
                    mend = "Delete the line to go on without that reply."
                    raise UserError(f"{self.path}, line {row} is damaged ({error}). {mend}") from error
                if row > 1:
                    yield entry
                elif entry != self.head:
                    differing = [key for key in {**entry, **self.head} if entry.get(key) != self.head.get(key)]
                    mend = f"Delete the folder {self.path.parent} to begin anew."
                    raise UserError(f"{self.path} was begun with other {', '.join(differing)}. {mend}")

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line and hand it to the operating system at once."""
        if self.file is None:
            raise RuntimeError("the journal is not open")
        self.file.write(LINE.encode(entry).encode() + b"\n")
        self.file.flush()


def rows(examples: Iterable[Example], task: Task) -> Iterator[dict[str, str]]:
    """Examples as rows with the columns id, one for each of task.inputs, label."""
    for example in examples:
        yield {"id": example.id, **dict(zip(task.inputs, example.texts, strict=True)), "label": example.label}


def writer(table: IO[str], name: Callable[[int], str], task: Task) -> Callable[[int, Sequence[str]], None]:
    """A function that writes accepted example k, with the id name(k), as the next line of `table`."""

    def write(k: int, texts: Sequence[str]) -> None:
        identifier = name(k)
        row = {"id": identifier, **dict(zip(task.inputs, texts, strict=True)), "label": identifier.rpartition("-")[0]}
        table.write(LINE.encode(row) + "\n")

    return write


class Soft:
    """soft.jsonl: for each example the judge's probability of every label, in the order of task.labels; no file where none are known."""

    def __init__(self, folder: Path) -> None:
        self.part, self.whole = folder / f"{SOFT}.part", folder / SOFT
        self.file: IO[str] | None = None

    def write(self, identifier: str, probabilities: Sequence[float]) -> None:
        """Append the probabilities of one accepted example."""
        self.file = self.file or self.part.open("w", encoding="utf-8")
        self.file.write(LINE.encode({"id": identifier, "probabilities": probabilities}) + "\n")

    def __enter__(self) -> Soft:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.file is not None:
            self.file.close()

    def finish(self) -> None:
        """Make what was written the dataset's file."""
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.part.replace(self.whole)
