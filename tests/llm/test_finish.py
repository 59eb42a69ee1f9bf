"""Finish reasons: complete, or why the reply is rejected."""

from __future__ import annotations

import pytest

from japagen.llm.finish import answer, rejection
from japagen.synthesis.clean import REASONS


@pytest.mark.parametrize(
    ("reason", "finishes"),
    [
        ("", ["stop", "STOP", "eos_token", "stop_sequence", "end_turn"]),
        ("truncated", ["length", "max_tokens", "MAX_TOKENS", "model_length"]),
        ("refused", ["content_filter", "refused", "refusal", "SAFETY", "PROHIBITED_CONTENT"]),
        ("unfinished", ["error", "abort", "cancelled", "tool_calls", "repetition", "", "None"]),
    ],
)
def test_every_finish_reason_is_complete_or_rejected(reason: str, finishes: list[str]) -> None:
    assert {rejection(finish) for finish in finishes} == {reason}
    assert not reason or reason in REASONS


def test_a_part_of_an_answer_is_not_read() -> None:
    assert [answer("1", finish) for finish in ("stop", "length")] == ["1", "1"]
    assert [answer("1", finish) for finish in ("content_filter", "error", "")] == ["", "", ""]
