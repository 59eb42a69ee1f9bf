"""Log-probabilities of the first token."""

from __future__ import annotations

import math

import pytest
from aiohttp import web

from japagen import llm
from japagen.llm import logprobs
from tests.loopback import Loopback, ask, good


def test_alternatives_of_a_later_token_are_not_those_of_the_first() -> None:
    """llama.cpp reports 満, which is two tokens, with the alternatives of the second."""
    second = [
        {"id": 222, "token": "\ufffd", "bytes": [0x80], "logprob": -0.1},
        {"id": 99336, "token": "足", "bytes": [0xE8, 0xB6, 0xB3], "logprob": -11.7},
    ]
    whole = {"id": 222, "token": "満", "bytes": [0xE6, 0xBA, 0x80], "logprob": -0.1}
    assert (
        logprobs.first_token({"logprobs": {"content": [{**whole, "top_logprobs": second}]}}) == {}
    )
    first = [{"id": 19793, "token": "不", "bytes": [0xE4, 0xB8, 0x8D], "logprob": -0.1}, *second]
    found = {"logprobs": {"content": [{**first[0], "top_logprobs": first}]}}
    assert set(logprobs.first_token(found)) == {"不", "\udc80", "足"}


def test_the_first_token_is_read_in_both_forms() -> None:
    message = {"role": "user", "content": "番号で。"}
    tokens = [
        {"token": "1", "logprob": -0.1, "bytes": [49]},
        {"token": "2", "logprob": -2.5, "bytes": [50]},
    ]
    chat = {"content": [{"token": "1", "logprob": -0.1, "top_logprobs": tokens}]}
    plain = {"tokens": ["1"], "token_logprobs": [-0.1], "top_logprobs": [{"1": -0.1, "2": -2.5}]}

    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        choice = {
            "message": {"content": "1"},
            "text": "1",
            "finish_reason": "stop",
            "logprobs": (chat, plain, None)[n],
        }
        return good(n, choices=[choice])

    with Loopback(script) as loopback:
        replies = [
            ask(loopback.url, llm.Request(messages=(message,), top=5)),
            ask(loopback.url, llm.Request(text="番号", top=5), chat=False),
        ]
        assert ask(loopback.url, llm.Request(messages=(message,), top=5)).top == {}
    assert all(reply.top == pytest.approx({"1": -0.1, "2": -2.5}) for reply in replies)
    assert (
        loopback.bodies[0]["logprobs"],
        loopback.bodies[0]["top_logprobs"],
        loopback.bodies[1]["logprobs"],
    ) == (True, 5, 5)


def test_tokens_that_differ_in_spaces_are_added() -> None:
    assert logprobs.summed([("1", math.log(0.25)), (" 1", math.log(0.5))]) == pytest.approx(
        {"1": math.log(0.75)}
    )
    assert logprobs.summed([("1", -math.inf), ("2", 1e-5)]) == pytest.approx({"2": 1e-5})


@pytest.mark.parametrize("value", [1e9, 0.5, math.inf, math.nan])
def test_what_is_no_log_probability_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a log-probability"):
        logprobs.summed([("1", value)])
