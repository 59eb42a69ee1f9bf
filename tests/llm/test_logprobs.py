"""Log-probabilities of the first token."""

from __future__ import annotations

import math

import pytest
from aiohttp import web

from japagen import llm
from japagen.llm import logprobs
from tests.loopback import Loopback, ask, good


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
