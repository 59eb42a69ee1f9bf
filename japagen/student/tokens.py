"""Tokens of examples, made once: cached for other seeds of a job and, on disk, for later jobs."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from japagen.config.schema import Student
from japagen.files import cache_dir
from japagen.gold.example import Example

log = logging.getLogger(__name__)

Columns = dict[str, list[list[int]]]
CUT, LENGTHS = "cut", ".lengths"
KEPT = 50  # files in the cache; the oldest are deleted


class Tokens:
    """The model inputs of examples. `folder`: the cache between jobs, or None for no cache."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, student: Student, folder: Path | None
    ) -> None:
        self.tokenizer, self.student, self.folder = tokenizer, student, folder
        self.pads = {
            "input_ids": tokenizer.pad_token_id or 0,
            "token_type_ids": tokenizer.pad_token_type_id,
        }
        self.known: dict[tuple[str, ...], int] = {}
        self.all: Columns = {}

    def add(self, rows: Sequence[Example]) -> None:
        """Tokenize the texts that are not known yet, all at once, or read them from the cache."""
        new = sorted({row.texts for row in rows} - set(self.known))
        if not new:
            return
        path = self.folder / f"{self.digest(new)}.npz" if self.folder else None
        columns = (read(path) if path else None) or tokenise(new, self.tokenizer, self.student)
        if path and not path.exists():
            write(path, columns)
        start = len(self.known)
        self.known.update((texts, start + place) for place, texts in enumerate(new))
        for name, column in columns.items():
            self.all.setdefault(name, []).extend(column)

    def columns(self, rows: Sequence[Example]) -> tuple[Columns, int]:
        """Return (model inputs by name, a list of ids a row; number of rows cut to max_length)."""
        self.add(rows)
        places = [self.known[row.texts] for row in rows]
        columns = {name: [column[place] for place in places] for name, column in self.all.items()}
        return columns, sum(flag for (flag,) in columns.pop(CUT, ()))

    def unknown(self, rows: Sequence[Example]) -> float:
        """Return the share of unknown tokens in `rows`, from 0 to 1, special tokens not counted."""
        unknown, special = self.tokenizer.unk_token_id, set(self.tokenizer.all_special_ids)
        roles = ("pad", "cls", "sep", "bos", "eos")
        if unknown is None or unknown in {
            getattr(self.tokenizer, f"{role}_token_id") for role in roles
        }:
            return 0.0  # a tokenizer of bytes knows every text
        counts = Counter(token for ids in self.columns(rows)[0]["input_ids"] for token in ids)
        words = sum(number for token, number in counts.items() if token not in special)
        return counts[unknown] / max(1, words + counts[unknown])

    def digest(self, texts: Sequence[tuple[str, ...]]) -> str:
        """Return a name for the tokens that differs where texts, tokenizer or options differ."""
        found = hashlib.sha256(
            json.dumps([self.student.prefix, self.student.max_length], ensure_ascii=False).encode()
        )
        for part in identity(self.tokenizer):
            found.update(part.encode())
        found.update(json.dumps(texts, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return found.hexdigest()[:24]


def identity(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Yield everything that changes the tokens of a tokenizer."""
    yield type(tokenizer).__name__
    yield json.dumps(tokenizer.init_kwargs, sort_keys=True, default=str)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    yield (
        backend.to_str()
        if backend is not None
        else json.dumps(sorted(tokenizer.get_vocab().items()))
    )


def tokenise(
    texts: Sequence[tuple[str, ...]], tokenizer: PreTrainedTokenizerBase, student: Student
) -> Columns:
    """Return the model inputs by name, a list of numbers for each text or pair of texts.

    CUT has [1] where a text was too long and was cut, else [0].
    """
    first = [student.prefix + row[0] for row in texts]
    second = [row[1] for row in texts] if texts and len(texts[0]) > 1 else None
    # The tokenizer's own warning about long texts has no count; the log line of DataModule has.
    columns = dict(tokenizer(first, second, verbose=False))
    long = [
        place for place, ids in enumerate(columns["input_ids"]) if len(ids) > student.max_length
    ]
    were = set(long)
    if long:
        pairs = [second[place] for place in long] if second else None
        cut = tokenizer(
            [first[place] for place in long], pairs, truncation=True, max_length=student.max_length
        )
        for name, column in columns.items():
            for place, ids in zip(long, cut[name], strict=True):
                column[place] = ids
    return {**columns, CUT: [[int(place in were)] for place in range(len(texts))]}


def read(path: Path) -> Columns | None:
    """Return the tokens in a file of the cache, or None if it is absent or damaged."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            columns = {}
            for name in file.files:
                if not name.endswith(LENGTHS):
                    numbers, ends = file[name].tolist(), np.cumsum(file[name + LENGTHS]).tolist()
                    columns[name] = [
                        numbers[start:end] for start, end in zip([0, *ends], ends, strict=False)
                    ]
            return columns
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("%s is damaged (%s) and is written again", path, error)
        path.unlink(missing_ok=True)
        return None


def write(path: Path, columns: Columns) -> None:
    """Write tokens into the cache, completely or not at all; a full disk does not end the job."""
    part = path.with_name(f".{path.name}.{time.monotonic_ns()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flat = {
            name: np.fromiter((number for ids in column for number in ids), np.int32)
            for name, column in columns.items()
        }
        flat |= {
            name + LENGTHS: np.array([len(ids) for ids in column], np.int32)
            for name, column in columns.items()
        }
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **flat)
        part.replace(path)
        for old in sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError as error:
        part.unlink(missing_ok=True)
        log.warning("the tokens could not be cached in %s: %s", path.parent, error)


def folder() -> Path:
    """Return the cache of tokens."""
    return cache_dir() / "tokens"
