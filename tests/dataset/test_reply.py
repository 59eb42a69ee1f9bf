"""Lines of a journal that are JSON but no replies: one message names the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.config.task import Task
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL
from japagen.dataset.reply import Reply, Verification
from japagen.dataset.table import MANIFEST, TABLE
from tests.conftest import Compose

TASK = Task(name="t", inputs=["sentence"], labels=["no", "yes"])
FOUND = Verification("yes", (0.25, 0.75), (3, 4), 0.5, "はい")
REPLIES = [
    Reply(0, 0, "no", "no", ("文",)),
    Reply(1, 2, "yes", "no", ("犬\ud83d",), "", (5, 6), ("犬",), FOUND, "fake"),
    Reply(3, 0, "yes", "yes", (), "empty", (5, 6), ("", "x"), Verification("")),
]
WRONG = [
    {"k": "x"},
    {"k": None},
    {"k": True},
    {"k": -1},
    {"k": 1.0},
    {"attempt": None},
    {"attempt": -1},
    {"asked": None},
    {"asked": ["no"]},
    {"reason": None},
    {"label": 5},
    {"texts": "ab"},
    {"texts": [5]},
    {"texts": None},
    {"texts": {"a": 1}},
    {"raw": "ab"},
    {"raw": [None]},
    {"tokens": ["a", "b"]},
    {"tokens": ["a"]},
    {"tokens": [1]},
    {"tokens": [1, 2, 3]},
    {"tokens": [1, -2]},
    {"tokens": [True, 1]},
    {"tokens": 5},
    {"llm": 5},
    {"verification": 5},
    {"verification": {}},
    {"verification": FOUND.entry() | {"label": 5}},
    {"verification": FOUND.entry() | {"probabilities": [float("nan"), 1.0]}},
    {"verification": FOUND.entry() | {"tokens": [1]}},
    {"verification": FOUND.entry() | {"seconds": "1"}},
]
STRANGE = [
    {"texts": []},
    {"texts": ["一", "二"]},
    {"asked": "acceptable"},
    {"asked": "no such label"},
    {"label": "no such label"},
    {"verification": FOUND.entry() | {"probabilities": [1.0]}},
]


def read(entry: Any) -> Reply:
    """The reply of a line as it is in the file."""
    return Reply.of(json.loads(json.dumps(entry)))


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_reads_back(reply: Reply) -> None:
    assert read(reply.entry()) == reply
    reply.check(TASK)


@pytest.mark.parametrize("values", WRONG)
def test_a_value_of_another_form_is_named(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(ValueError, match=rf"{name}.*; allowed: "):
        read(REPLIES[1].entry() | values)


@pytest.mark.parametrize("name", ["k", "attempt", "asked", "reason", "texts", "tokens"])
def test_an_absent_value_is_named(name: str) -> None:
    entry = {key: value for key, value in REPLIES[0].entry().items() if key != name}
    with pytest.raises(ValueError, match=f"'{name}' is absent; allowed: "):
        read(entry)


def dataset(composed: Compose, *words: str) -> Path:
    cfg = composed("generate", "task=jcola", "num_per_label=4", *words)
    generate.run(cfg)
    return identity.of(check(cfg, GenerateConfig)).folder


@pytest.mark.slow
def test_a_job_names_the_line_and_deletes_nothing(
    composed: Compose, sent: list[llm.Request]
) -> None:
    folder = dataset(composed)
    (folder / MANIFEST).unlink()
    path, table = folder / JOURNAL, (folder / TABLE).read_bytes()
    head, first, *rest = path.read_bytes().splitlines(keepends=True)
    lines = [json.dumps(json.loads(first) | values) for values in (*WRONG, *STRANGE)]
    facts = ({}, {"total_seconds": "x"}, {"measuring_tokens": 5}, {"reliability": 5})
    more = ({"reliability": {"rows": 1, "trusted": True}}, {"knowledge": []}, {"select/1": "x"})
    no_k = {key: value for key, value in json.loads(first).items() if key != "k"}
    lines += [json.dumps(entry) for entry in (*facts, *more, no_k, 5, None)]
    sent.clear()
    for line in (*lines, "[" * 100_000, '{"k": ' + "[" * 900 + "]" * 900 + "}"):
        path.write_bytes(b"".join([head, line.encode() + b"\n", *rest]))
        whole = path.read_bytes()
        with pytest.raises(UserError) as caught:
            dataset(composed)
        assert f"{path}, line 2 is damaged (" in str(caught.value), line[:99]
        assert path.read_bytes() == whole
    assert (folder / TABLE).read_bytes() == table
    assert not sent
    path.write_bytes(b"".join([head, *rest]))
    dataset(composed)
    assert (folder / TABLE).read_bytes() == table
    assert len(sent) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["prompt=taboo", "prompt.round=1"],
        ["select=balanced", "prompt=knowledge"],
        ["filter=verified", "filter.dev_rows=0"],
        ["knowledge=llm", "prompt=knowledge"],
    ],
)
def test_a_job_reads_its_own_facts(
    composed: Compose, sent: list[llm.Request], words: list[str]
) -> None:
    folder = dataset(composed, *words)
    (folder / MANIFEST).unlink()
    table = (folder / TABLE).read_bytes()
    sent.clear()
    dataset(composed, *words)
    assert (folder / TABLE).read_bytes() == table
    assert not sent
