"""Replies of servers: whatever they send is a Completion or an EngineError."""

from __future__ import annotations

import json
from typing import Any

import pytest

from japagen.llm import reply
from japagen.llm.engine import EngineError, Request

USAGE = {"prompt_tokens": 7, "completion_tokens": 5}


def payload(content: Any = "あ", usage: Any = USAGE, **choice: Any) -> bytes:
    found = {"message": {"content": content}, "finish_reason": "stop", **choice}
    data = {"choices": [found], **({} if usage is ... else {"usage": usage})}
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "犬が"}, {"type": "text", "text": "走る。"}], "犬が走る。"),
        ([{"type": "thinking", "thinking": "考え中"}, {"type": "text", "text": "犬。"}], "犬。"),
        ([{"type": "output_text", "text": "犬。"}], "犬。"),
        (["犬", "。"], "犬。"),
        ([], ""),
        (None, ""),
    ],
)
def test_content_may_be_a_list_of_parts(content: Any, text: str) -> None:
    assert reply.completion(payload(content)).text == text


@pytest.mark.parametrize(
    "sent",
    [
        payload(usage={"prompt_tokens": -1, "completion_tokens": 5}),
        payload(usage={"prompt_tokens": 7, "completion_tokens": 10**12}),
        payload(usage={"prompt_tokens": "many", "completion_tokens": 5}),
        payload(usage=[7, 5]),
        payload().replace(b"7", b"NaN"),
        payload().replace(b"7", b"-Infinity"),
        payload().replace(b"7", b"1e999"),
        payload().replace(b"7", b"9" * 5000),
        payload({"text": "あ"}),
        payload(5),
        payload([{"type": "text", "text": {"value": "あ"}}]),
        payload([3]),
        payload(message=None),
        payload(message="あ"),
        payload(logprobs={"content": [{"top_logprobs": [{"token": "1", "logprob": 800}]}]}),
        payload(logprobs={"content": [{"top_logprobs": [{"token": "1", "logprob": "-1"}]}]}),
        payload(logprobs={"content": [{"top_logprobs": 5}]}),
        payload(logprobs={"content": [3]}),
        payload(logprobs="none"),
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"choices": {"0": 1}}',
        b'{"choices": [], "prompt_feedback": {"block_reason": ""}}',
        b'{"choices": [], "results": [{"hate": {"filtered": false}}]}',
        b'{"choices": ["a"]}',
        b'"text"',
        b"null",
        b"",
        b"\xff\xfe\x00",
    ],
)
def test_any_other_form_is_an_engine_error(sent: bytes) -> None:
    with pytest.raises(EngineError):
        reply.completion(sent)


@pytest.mark.parametrize("usage", [..., None, {}, {"prompt_tokens": None}, {"total_tokens": 3}])
def test_missing_token_counts_are_one_token_per_character(usage: Any) -> None:
    request = Request(messages=({"role": "user", "content": "書いて"},))
    made = reply.completion(payload("犬が走る。", usage), request)
    assert (made.prompt_tokens, made.completion_tokens, made.estimated) == (3, 5, True)


def test_a_count_that_is_there_is_kept() -> None:
    made = reply.completion(payload("犬", {"completion_tokens": 9}), Request(text="むかし"))
    assert (made.prompt_tokens, made.completion_tokens, made.estimated) == (3, 9, True)
    made = reply.completion(payload("犬", {"completion_tokens": 0, "prompt_tokens": 0}))
    assert (made.prompt_tokens, made.completion_tokens, made.estimated) == (0, 0, False)


@pytest.mark.parametrize(
    "sent",
    [
        json.dumps({"error": {"code": "content_filter", "message": "no"}}).encode(),
        json.dumps({"error": {"message": "Your input was flagged by moderation"}}).encode(),
        payload(None, message={"content": None, "refusal": "I cannot write this."}),
        b'{"choices": [], "prompt_feedback": {"block_reason": "SAFETY"}}',
        b'{"candidates": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}',
        b'{"choices": null, "prompt_filter_results": [{"content_filter_results": '
        b'{"jailbreak": {"filtered": true}}}]}',
    ],
)
def test_a_refusal_with_status_200_is_a_refused_reply(sent: bytes) -> None:
    made = reply.completion(sent)
    assert (made.text, made.finish) == ("", "refused")


@pytest.mark.parametrize(
    ("choice", "finish"),
    [
        ({"finish_reason": None}, ""),
        ({"finish_reason": 3}, ""),
        ({"finish_reason": "content_filter"}, "content_filter"),
    ],
)
def test_the_finish_reason_is_passed_on(choice: dict[str, Any], finish: str) -> None:
    assert reply.completion(payload(**choice)).finish == finish
