"""train.parquet has the rows of train.jsonl, after every way to write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import ParquetFile, read_table

from japagen.command import generate
from japagen.config.task import Task
from japagen.dataset import parquet
from japagen.dataset.table import CARD, PARQUET, TABLE, UPLOADED
from tests.conftest import Compose

TASK = Task(name="t", inputs=["sentence"], labels=["no", "yes"])


def folder() -> Path:
    """The folder of the only dataset."""
    (found,) = Path("synthetic").glob("*/*")
    return found


def same_rows(place: Path, labels: list[Any]) -> int:
    """Compare both tables; the number of rows."""
    lines = [json.loads(line) for line in (place / TABLE).read_text("utf-8").splitlines()]
    expected = [{**row, "label": labels.index(row["label"])} for row in lines]
    assert read_table(place / PARQUET).to_pylist() == expected
    return len(lines)


@pytest.mark.slow
def test_generate_writes_both_and_an_extension_rewrites_both(
    composed: Compose, tmp_path: Path
) -> None:
    labels = ["unacceptable", "acceptable"]
    generate.run(composed("generate", "task=jcola", "num_per_label=2"))
    assert same_rows(folder(), labels) == 4
    generate.run(composed("generate", "task=jcola", "num_per_label=3"))
    assert same_rows(folder(), labels) == 6
    assert not list(folder().glob("*.part"))
    assert f"path: {PARQUET}" in (folder() / CARD).read_text("utf-8")
    assert PARQUET in UPLOADED
    (folder() / PARQUET).unlink()
    generate.run(composed("generate", "task=jcola", "num_per_label=3"))
    assert same_rows(folder(), labels) == 6


def test_rows_of_several_llms_have_their_names(composed: Compose) -> None:
    writers = ["llm@llm.writers.first=fake", "llm@llm.writers.second=fake"]
    words = ["task=jcola", "llm=mixed", *writers, "llm.writers.second.name=other"]
    generate.run(composed("generate", *words, "num_per_label=2"))
    assert same_rows(folder(), ["unacceptable", "acceptable"]) == 4
    assert set(read_table(folder() / PARQUET).column("llm").to_pylist()) == {"fake", "other"}


def test_a_lone_file_has_typed_columns(tmp_path: Path) -> None:
    import datasets

    (tmp_path / TABLE).write_text('{"id": "1", "sentence": "犬", "label": "yes"}\n', "utf-8")
    parquet.write(tmp_path, TASK)
    found = datasets.Dataset.from_parquet(
        str(tmp_path / PARQUET), cache_dir=str(tmp_path / "cache")
    )
    assert found.features["label"].names == ["no", "yes"]
    assert found[0] == {"id": "1", "sentence": "犬", "label": 1}


def test_many_rows_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 2)
    row = {"id": "1", "sentence": "犬", "label": "no"}
    (tmp_path / TABLE).write_text((json.dumps(row) + "\n") * 5, "utf-8")
    parquet.write(tmp_path, TASK)
    file = ParquetFile(tmp_path / PARQUET)
    assert (file.num_row_groups, file.metadata.num_rows) == (3, 5)


def test_a_failure_leaves_the_earlier_file(tmp_path: Path) -> None:
    (tmp_path / PARQUET).write_bytes(b"earlier")
    (tmp_path / TABLE).write_text('{"id": "1", "sentence": "犬", "label": "other"}\n', "utf-8")
    with pytest.raises(KeyError):
        parquet.write(tmp_path, TASK)
    assert (tmp_path / PARQUET).read_bytes() == b"earlier"
