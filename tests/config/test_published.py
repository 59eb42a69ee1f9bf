"""Prompt files in the published format that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from japagen.config.error import UserError
from japagen.config.published import read
from japagen.config.task import Task

RIGHT: dict[str, Any] = {
    "content": "あなたは書き手です。",
    "labels": {"a": {"instruction": "晴れの文"}, "b": {"instruction": "雨の文"}},
}
TASK = Task(name="weather", inputs=["sentence"], labels=["a", "b"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"content": "${oc.env:HOME}の話"}, r"contains \$\{"),
        ({"content": "価格は${price"}, r"contains \$\{"),
        ({"content": None}, "no text under `content`"),
        ({"labels": {"a": {"instruction": "x"}}}, "no `labels.b.instruction`"),
        ({"genre": "犬"}, "`genre` must be a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_message(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "prompt.json"
    path.write_text(json.dumps({**RIGHT, **change}, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read(str(path), TASK)


def test_deeply_nested_json_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "prompt.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        read(str(path), TASK)
