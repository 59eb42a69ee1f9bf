"""HTTP bodies: the JSON of requests, and the size limit of replies."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from aiohttp import web

from japagen import llm
from japagen.llm import http_body
from tests.loopback import Loopback, ask, good, healthy

REQUEST = llm.Request(messages=({"role": "user", "content": "書いてください。"},))


def answering(body: bytes, **headers: str) -> Loopback:
    """A server whose reply is `body`."""

    async def script(_server: Loopback, _n: int, _request: web.Request) -> web.Response:
        return web.Response(body=body, headers=headers, content_type="application/json")

    return Loopback(script)


def test_no_compression_is_asked_for_and_a_compressed_reply_is_read() -> None:
    whole: Any = good(0, "犬が走る。").body
    for coding, body in (("gzip", gzip.compress(whole)), ("deflate", zlib.compress(whole))):
        with answering(body, **{"Content-Encoding": coding}) as loopback:
            assert ask(loopback.url, REQUEST).text == "犬が走る。"
        assert loopback.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("body", "coding", "message"),
    [
        (gzip.compress(b" " * 2**26, mtime=0), "gzip", "larger than 8 MiB"),
        (zlib.compress(b" " * 2**26), "deflate", "larger than 8 MiB"),
        (b"not compressed", "gzip", "cannot be decompressed"),
        (b"{}", "br", "compressed in a way that was not asked for"),
        (b" " * (2**23 + 1), "identity", "larger than 8 MiB"),
    ],
)
def test_a_reply_that_is_too_large_or_damaged_is_an_engine_error(
    body: bytes, coding: str, message: str
) -> None:
    with (
        answering(body, **{"Content-Encoding": coding}) as loopback,
        pytest.raises(llm.EngineError, match=message),
    ):
        ask(loopback.url, REQUEST)


def test_a_reply_without_an_end_is_cut() -> None:
    sent = 0

    async def script(_server: Loopback, _n: int, request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 2**27:
            await response.write(b" " * 2**16)
            sent += 2**16
        return response

    with Loopback(script) as loopback, pytest.raises(llm.EngineError, match="larger than 8 MiB"):
        ask(loopback.url, REQUEST)
    assert sent < 2**26


@pytest.mark.slow
def test_no_more_memory_is_used_than_the_limit() -> None:
    bomb = gzip.compress(b" " * 2**27)
    assert len(bomb) < 2**18
    with pytest.raises(llm.EngineError):
        http_body.decompressed(bomb, "gzip")
    assert http_body.decompressed(gzip.compress(b" " * 2**23), "gzip") == b" " * 2**23
    assert json.loads(http_body.decompressed(gzip.compress(b"[1]"), "x-gzip")) == [1]


def test_the_request_has_the_fields_of_the_yaml() -> None:
    sampling = {
        "temperature": 0.5,
        "stop": ["。"],
        "structured_outputs": {"choice": ["a"]},
        "logit_bias": {"5": -1.0},
    }
    with Loopback(healthy) as loopback:
        message = {"role": "user", "content": "書いてください。"}
        reply = ask(
            loopback.url, llm.Request(messages=(message,), seed=7, stop=("\n",)), sampling=sampling
        )
        ask(
            loopback.url,
            llm.Request(text="むかし", seed=8, stop=("\n",), temperature=0.0),
            chat=False,
        )
        ask(
            loopback.url,
            llm.Request(text="むかし", seed=8, stop=("\n",)),
            chat=False,
            sampling={"seed": None, "stop": None},
        )
        ask(
            loopback.url,
            llm.Request(messages=(message,), schema={"type": "object"}),
            engine={"headers": {"X-Team": "a"}},
        )
    assert (reply.finish, reply.prompt_tokens, reply.completion_tokens) == ("stop", 10, 20)
    chat, base, bare, joint = loopback.bodies
    assert chat == {
        "model": "swallow-8b",
        "seed": 7,
        **sampling,
        "stop": ["\n", "。"],
        "messages": [message],
    }
    assert base == {
        "model": "swallow-8b",
        "seed": 8,
        "stop": ["\n"],
        "prompt": "むかし",
        "temperature": 0.0,
    }
    assert bare == {"model": "swallow-8b", "prompt": "むかし"}
    assert joint["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert loopback.headers[3]["X-Team"] == "a"
