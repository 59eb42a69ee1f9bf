"""A damaged soft.jsonl gives one message that names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from japagen.config.error import UserError
from japagen.config.task import Task
from japagen.training import soft_labels

TASK = Task(name="t", inputs=["sentence"], labels=["a", "b"])
GOOD = b'{"id": "1", "probabilities": [0.25, 0.75]}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\xff\n", "UnicodeDecodeError: 'utf-8' codec"),
        (b"[" * 100_000 + b"\n", "RecursionError: maximum recursion depth"),
        (b"null\n", "TypeError"),
        (b"\n", "JSONDecodeError"),
        (GOOD[:-9], "JSONDecodeError"),
        (b'{"id": "2", "probabilities": [NaN, NaN]}\n', "shares that sum to 1, got [nan, nan]"),
        (b'{"id": "2", "probabilities": [NaN, 0.5]}\n', "shares that sum to 1, got [nan, 0.5]"),
        (b'{"id": "2", "probabilities": [1e400, 0]}\n', "shares that sum to 1, got [inf, 0.0]"),
        (b'{"id": "2", "probabilities": [1.5, -0.5]}\n', "shares that sum to 1"),
        (b'{"id": "2", "probabilities": [1' + b"0" * 400 + b", 0]}\n", "OverflowError"),
        (b'{"id": "2", "probabilities": [true, false]}\n', "not a list of numbers"),
        (b'{"id": "2", "probabilities": "10"}\n', "not a list of numbers"),
        (b'{"id": "2", "probabilities": null}\n', "not a list of numbers"),
        (GOOD, "the id '1' is there twice"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "soft.jsonl"
    path.write_bytes(GOOD + line)
    with pytest.raises(UserError) as caught:
        soft_labels.read(path, TASK)
    assert f"{path}, line 2: " in str(caught.value)
    assert message in str(caught.value)


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    path = tmp_path / "soft.jsonl"
    path.write_bytes('{"id": "一\u2028二", "probabilities": [1, 0]}\n'.encode())
    assert soft_labels.read(path, TASK) == [("一\u2028二", [1.0, 0.0])]
