"""Datasets on disk."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.journal import Journal
from tests.conftest import Compose

HEAD = {"fingerprint": "0123456789", "shots": {}}


def entry(k: int) -> dict[str, object]:
    return {"k": k, "texts": [f"文 {k}"]}


def test_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "made" / "journal.jsonl"
    for start in (0, 3):
        with Journal(path, HEAD) as journal:
            assert [line["k"] for line in journal.lines()] == list(range(start))
            for k in range(start, start + 3):
                journal.write(entry(k))


@pytest.mark.parametrize("torn", ['{"k": 3, "te', "x" * 200_000, '{"k": 3}'])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEAD) as journal:
        journal.write(entry(0))
    with path.open("a", encoding="utf-8") as file:
        file.write(torn)
    with Journal(path, HEAD) as journal:
        assert [line["k"] for line in journal.lines()] == [0]
        journal.write(entry(1))
    with Journal(path, HEAD) as journal:
        assert [line["k"] for line in journal.lines()] == [0, 1]


def test_a_journal_torn_in_its_first_line_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"finger', encoding="utf-8")
    with Journal(path, HEAD) as journal:
        assert list(journal.lines()) == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(HEAD) + '\n{"k": 0\n{"k": 1}\n', encoding="utf-8")
    with (
        Journal(path, HEAD) as journal,
        pytest.raises(UserError, match=r"journal\.jsonl, line 2 is damaged"),
    ):
        list(journal.lines())


def test_a_journal_of_other_shots_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEAD):
        pass
    with (
        Journal(path, {**HEAD, "shots": {"a": ["1"]}}) as journal,
        pytest.raises(UserError, match="begun with other shots"),
    ):
        list(journal.lines())


def hold(path: Path, held: object, release: object) -> None:
    with Journal(path, HEAD):
        held.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "journal.jsonl", held, release))
    process.start()
    assert held.wait(30)
    with (
        pytest.raises(UserError, match="Another process is writing"),
        Journal(tmp_path / "journal.jsonl", HEAD),
    ):
        pass
    release.set()
    process.join(30)
    with Journal(tmp_path / "journal.jsonl", HEAD):
        pass


def fingerprint(composed: Compose, *overrides: str) -> str:
    return identity.of(check(composed("generate", *overrides), GenerateConfig)).fingerprint


@pytest.mark.parametrize(
    "override",
    [
        "task=jsts",
        "prompt=knowledge",
        "shots=1",
        "seed=1",
        "llm=gemma3_270m",
        "+llm.sampling.temperature=0.5",
        'task.wording.system="別の指示です。"',
        "task.clean.max_chars=71",
    ],
)
def test_the_fingerprint_covers_what_changes_the_text(composed: Compose, override: str) -> None:
    assert fingerprint(composed, override) != fingerprint(composed)


@pytest.mark.parametrize(
    "override",
    [
        "num_per_label=3",
        "llm.concurrency=2",
        "llm.engine.latency=1",
        "max_attempts=2",
        "logger=mlflow",
    ],
)
def test_the_fingerprint_leaves_out_what_does_not(composed: Compose, override: str) -> None:
    assert fingerprint(composed, override) == fingerprint(composed)


def test_zero_shot_with_shots_is_few_shot(composed: Compose) -> None:
    assert (
        fingerprint(composed, "shots=5")
        == fingerprint(composed, "prompt=few_shot")
        == fingerprint(composed, "prompt=few_shot", "shots=5")
    )


def test_reading_an_absent_dataset_names_the_command(composed: Compose) -> None:
    config = check(composed("generate", "task=jcola", "num_per_label=7"), GenerateConfig)
    with pytest.raises(
        UserError,
        match=r"python generate\.py task=jcola llm=fake prompt=zero_shot .*num_per_label=7",
    ):
        table.read(identity.of(config))
