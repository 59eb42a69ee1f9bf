"""Files made from the rows: absent, damaged or edited ones are made again, and then uploaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import read_table

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.journal import JOURNAL, Journal
from japagen.dataset.manifest import EARLIER_CARD
from japagen.dataset.table import CARD, FILES, MANIFEST, PARQUET, SEAL, SOFT, TABLE
from japagen.job import hub
from tests.conftest import Compose


def made(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", "task=jcola", "num_per_label=4", *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


def is_whole(folder: Path) -> bool:
    """Whether both tables have the same rows, and the manifest knows all files."""
    lines = (folder / TABLE).read_text("utf-8").splitlines()
    manifest = table.read_manifest(folder)
    same = [row["id"] for row in read_table(folder / PARQUET).to_pylist()] == [
        json.loads(line)["id"] for line in lines
    ]
    names = (PARQUET, CARD, SOFT)
    return same and manifest is not None and not table.changed(folder, manifest, names)


def damage(path: Path, how: str) -> None:
    if how == "absent":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(path.read_bytes()[:300])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["absent", "empty", "cut"])
@pytest.mark.parametrize("names", [[PARQUET], [CARD], [PARQUET, CARD]])
def test_a_damaged_file_is_made_again_before_an_upload(
    composed: Compose,
    sent: list[llm.Request],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    names: list[str],
    how: str,
) -> None:
    folder = made(composed)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    uploaded = list[bool]()
    monkeypatch.setattr(hub, "check", lambda _name: None)
    monkeypatch.setattr(hub, "push", lambda path, *_: uploaded.append(is_whole(path)))
    for name in names:
        damage(folder / name, how)
    sent.clear()
    # A job that asks for fewer rows has another command, which is not that of the rows.
    made(composed, "num_per_label=2", "push_to_hub=me/x")
    assert uploaded == [True]
    assert not sent
    assert " and ".join(names) in caplog.text
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == (
        {EARLIER_CARD} if CARD in names and how != "absent" else set()
    )


@pytest.mark.slow
def test_an_edited_card_is_kept_beside_the_new_one(composed: Compose) -> None:
    folder = made(composed)
    own = (folder / CARD).read_text("utf-8") + "\nMy notes.\n"
    (folder / CARD).write_text(own, "utf-8")
    made(composed)
    assert (folder / EARLIER_CARD).read_text("utf-8") == own
    (folder / CARD).write_text("Other notes.\n", "utf-8")
    made(composed)
    assert (folder / EARLIER_CARD).read_text("utf-8") == own
    assert (folder / f"{EARLIER_CARD}.2").read_text("utf-8") == "Other notes.\n"
    assert "My notes" not in (folder / CARD).read_text("utf-8")
    assert is_whole(folder)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["absent", "empty", "cut"])
def test_damaged_soft_labels_are_written_again_from_the_journal(
    composed: Compose, sent: list[llm.Request], how: str
) -> None:
    words = ("filter=soft", "filter.dev_rows=0", "filter.min_confirmed=0")
    folder = made(composed, *words)
    before = {name: (folder / name).read_bytes() for name in (SOFT, TABLE)}
    damage(folder / SOFT, how)
    sent.clear()
    made(composed, *words)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not sent
    assert is_whole(folder)


@pytest.mark.slow
def test_a_dataset_of_an_earlier_version_gets_what_is_absent(composed: Compose) -> None:
    folder = made(composed)
    older: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    for key in (FILES, SEAL, "command"):
        del older[key]
    (folder / MANIFEST).write_text(json.dumps(older), "utf-8")
    own = (folder / CARD).read_text("utf-8") + "\nMy notes.\n"
    (folder / CARD).write_text(own, "utf-8")
    made(composed)
    assert (folder / CARD).read_text("utf-8") == own
    (folder / PARQUET).unlink()
    made(composed)
    assert (folder / CARD).read_text("utf-8") == own
    assert is_whole(folder)


@pytest.mark.slow
def test_files_are_made_again_only_by_one_process(composed: Compose) -> None:
    folder = made(composed)
    (folder / CARD).unlink()
    head = json.loads((folder / JOURNAL).read_bytes().splitlines()[0])
    with (
        Journal(folder / JOURNAL, head),
        pytest.raises(UserError, match="Another process is writing"),
    ):
        made(composed)
    assert not (folder / CARD).exists()
    made(composed)
    assert is_whole(folder)
