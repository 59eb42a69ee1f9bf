"""A damaged dataset is noticed, and made again from the journal without an LLM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.identity import Dataset
from tests.conftest import Compose


def made(composed: Compose, *overrides: str) -> Dataset:
    cfg = composed("generate", "task=jcola", "num_per_label=4", *overrides)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig))


def cut(path: Path, rows: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:rows]))


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut at a row's end", "edited", "gone"])
def test_a_damaged_table_is_refused_and_made_again(
    composed: Compose, sent: list[llm.Request], damage: str
) -> None:
    dataset = made(composed)
    path = dataset.folder / table.TABLE
    whole = path.read_bytes()
    if damage == "edited":
        path.write_bytes(whole.replace(b"unacceptable", b"acceptable", 1))
    elif damage == "gone":
        path.unlink()
    else:
        cut(path, 5)
    with pytest.raises(UserError, match=r"train\.jsonl is damaged.*\n  python generate\.py task"):
        table.read(dataset)
    sent.clear()
    made(composed)
    assert path.read_bytes() == whole
    assert not sent


def wrong(whole: bytes, **values: object) -> bytes:
    """A manifest with other values, and without the checksum that would give that away."""
    manifest = json.loads(whole) | values
    del manifest[table.SEAL]
    return json.dumps(manifest).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"a":' * 200_000 + b"}" * 200_000, b"9" * 5000, b"\xff"],
)
def test_a_job_after_a_damaged_manifest_makes_it_again(
    composed: Compose, sent: list[llm.Request], content: bytes
) -> None:
    dataset = made(composed)
    (dataset.folder / table.MANIFEST).write_bytes(content)
    rows = (dataset.folder / table.TABLE).read_bytes()
    sent.clear()
    made(composed)
    assert table.read_manifest(dataset.folder) is not None
    assert (dataset.folder / table.TABLE).read_bytes() == rows
    assert not sent


@pytest.mark.slow
def test_a_manifest_cut_anywhere_counts_as_unfinished(
    composed: Compose, sent: list[llm.Request], caplog: pytest.LogCaptureFixture
) -> None:
    dataset = made(composed)
    path = dataset.folder / table.MANIFEST
    whole = path.read_bytes()
    for end in (*range(0, len(whole) - 2, 97), 1, 2, 3):
        path.write_bytes(whole[:end])
        assert table.read_manifest(dataset.folder) is None, f"cut after {end} bytes"
    others = [b"null", b"[]", b"{}", b"\xff\xfe", b'{"num_per_label": 4}', b"[" * 200_000]
    for other in (*others, b'{"a":' * 200_000, wrong(whole, num_per_label="4")):
        path.write_bytes(other)
        assert table.read_manifest(dataset.folder) is None
    for key, value in (("missing", []), ("missing", {"a": "1"}), ("shots_digest", None)):
        path.write_bytes(wrong(whole, **{key: value}))
        assert table.read_manifest(dataset.folder) is None, key
    assert "is damaged" in caplog.text
    sent.clear()
    made(composed)
    assert table.read_manifest(dataset.folder) is not None
    assert not sent


@pytest.mark.slow
def test_a_smaller_job_that_waited_does_not_replace_a_larger_dataset(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The larger one is finished between the first look at the folder and the lock."""
    larger = made(composed, "num_per_label=6")
    whole = (larger.folder / table.TABLE).read_bytes()
    looks = iter([None])  # the first look finds nothing
    read = table.read_manifest

    def late(folder: Path) -> object:
        return next(looks, read(folder))

    monkeypatch.setattr(generate, "read_manifest", late)
    made(composed, "num_per_label=2")
    assert (larger.folder / table.TABLE).read_bytes() == whole
    manifest = read(larger.folder)
    assert manifest is not None
    assert manifest["num_per_label"] == 6
