"""Journals and manifests cut at every byte, and manifests with any byte changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.identity import Dataset
from japagen.dataset.journal import JOURNAL, Journal
from tests.conftest import Compose

HEAD = {"shots": {"肯定": []}}
QUICK = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXTS = st.text(max_size=6) | st.sampled_from(["一\n二", "\u2028", "犬\ud83d", "\\", '"', "\x85"])
ENTRIES = st.lists(
    st.fixed_dictionaries({"k": st.integers(0, 99), "texts": st.lists(TEXTS, max_size=2)}),
    max_size=2,
)
OTHERS = b'7-e }x\xff"'  # bytes to replace one with; of numbers, white space, names and texts


@pytest.mark.slow
@given(entries=ENTRIES)
@example(
    entries=[{"k": 1, "texts": ["一\n二", "\u2028"]}, {"k": 2, "texts": ["犬\ud83d", '\\"\x85']}]
)
@QUICK
def test_a_journal_cut_at_any_byte_keeps_its_whole_lines(
    entries: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / JOURNAL
    path.unlink(missing_ok=True)
    ends = []
    with Journal(path, HEAD) as journal:
        ends.append(path.stat().st_size)
        for entry in entries:
            journal.write(entry)
            ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = max(0, sum(end <= size for end in ends) - 1)
        with Journal(path, HEAD) as journal:
            assert list(journal.lines()) == entries[:kept], f"cut after {size} bytes"
            for entry in entries[kept:]:
                journal.write(entry)
        assert path.read_bytes() == whole, f"cut after {size} bytes"


def made(composed: Compose) -> Dataset:
    """A small dataset, complete."""
    cfg = composed("generate", "task=jcola", "num_per_label=3")
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig))


def damages(whole: bytes, others: bytes, step: int = 1) -> Iterator[bytes]:
    """`whole` cut after each byte, and with each byte replaced by one of `others` in turn."""
    for place in range(0, len(whole), step):
        yield whole[:place]
        other = others[place // step % len(others)]
        yield whole[:place] + bytes([other]) + whole[place + 1 :]


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_any_damage_of_a_manifest_is_noticed(step: int, composed: Compose) -> None:
    folder = made(composed).folder
    path = folder / table.MANIFEST
    whole, known = path.read_bytes(), table.read_manifest(folder)
    assert known is not None
    logging.disable()
    try:
        for content in damages(whole, OTHERS, step):
            path.write_bytes(content)
            found = table.read_manifest(folder)
            # White space and the name of the checksum say nothing about the dataset.
            assert found is None or found.items() >= known.items(), content
    finally:
        logging.disable(logging.NOTSET)


def test_a_manifest_without_a_checksum_is_read(composed: Compose) -> None:
    """Datasets of earlier versions have none."""
    folder = made(composed).folder
    path, known = folder / table.MANIFEST, table.read_manifest(folder)
    older = json.loads(path.read_text(encoding="utf-8"))
    del older[table.SEAL]
    path.write_text(json.dumps(older), encoding="utf-8")
    assert table.read_manifest(folder) == known == older


@pytest.mark.parametrize("step", [499, pytest.param(3, marks=pytest.mark.slow)])
def test_a_job_after_damage_of_the_manifest_gives_the_same_rows(
    step: int, composed: Compose, sent: list[llm.Request], recorded: dict[str, float]
) -> None:
    dataset = made(composed)
    cfg = composed("generate", "task=jcola", "num_per_label=3")
    path = dataset.folder / table.MANIFEST
    rows, whole = table.read(dataset), path.read_bytes()
    sent.clear()
    recorded.clear()
    generate.run(cfg)
    figures = dict(recorded)
    for content in damages(whole, OTHERS, step):
        path.write_bytes(content)
        generate.run(cfg)
        assert table.read(dataset) == rows, content
        # Seconds and cost are of the process that made the dataset.
        assert {key: recorded[key] for key in figures} == figures, content
    assert not sent
