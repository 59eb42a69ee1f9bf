"""No message of the HTTP engine has the API key, whatever a server answers."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest
from aiohttp import web

from japagen import llm
from tests.loopback import Loopback, ask, good

KEYS = ["ab/cd+ef==1234567890", "sk-proj-0a1b2c3d4e5f6071", "Plain0123456789abcdefABCDEF"]
REQUEST = llm.Request(messages=({"role": "user", "content": "書いてください。"},))


def error(text: str, status: int) -> web.Response:
    return web.json_response({"error": {"message": text}}, status=status)


ANSWERS: dict[str, Callable[[str], web.Response]] = {
    **{
        f"status {status}": lambda key, status=status: error(
            f"{{'Authorization': '{key}'}}", status
        )  # type: ignore[misc]
        for status in (400, 401, 402, 403, 404, 408, 418, 422, 429, 500, 503)
    },
    "200 with an error": lambda key: error(f"Incorrect key {key}", 200),
    "200 with an error text": lambda key: web.json_response({"error": f"for {key}"}),
    "200 with a list": lambda key: web.json_response([key]),
    "200 with a text": lambda key: web.json_response(f"key {key}"),
    "200 with another form": lambda key: web.json_response({"choices": [{"field": key}]}),
    "200 with the key as a field": lambda key: web.json_response({"choices": [{key: 1}]}),
    "200 with HTML": lambda key: web.Response(text=f"<html>{key}</html>"),
    "cut within the key": lambda key: error("x" * (395 - len(key) // 2) + f" {key}", 400),
    "cut by the server": lambda key: error(f"key {key[:-4]}... is wrong", 400),
    "body cut by the server": lambda key: web.Response(text=f"headers {key[:-3]}", status=400),
    "plain text": lambda key: web.Response(text=f"Authorization: Bearer {key}", status=400),
    "a redirect": lambda key: web.Response(status=307, headers={"Location": f"http://x/?k={key}"}),
    "a redirect with the key quoted": lambda key: web.Response(
        status=302, headers={"Location": f"http://x/{quote(key, safe='')}"}
    ),
    "base64": lambda key: error(base64.b64encode(f"user:{key}".encode()).decode(), 400),
    "the end of the key": lambda key: error(f"bad key …{key[8:]}", 401),
    "invisible characters": lambda key: error("\u200b".join((key[:9], key[9:])), 400),
    "a line break": lambda key: error("\n".join((key[:9], key[9:])), 400),
    "upper case": lambda key: error(key.upper(), 400),
    "hex": lambda key: error(key.encode().hex(), 400),
    "every character escaped": lambda key: error("".join(f"%{ord(c):02X}" for c in key), 400),
    "UTF-16": lambda key: web.Response(body=f'{{"error": "{key}"}}'.encode("utf-16"), status=400),
    "the key in a huge message": lambda key: error(key[3:] + "x" * 7_000_000, 400),
    "a content filter": lambda key: web.json_response(
        {"error": {"code": "content_filter", "message": key}}, status=400
    ),
    "a refused system role": lambda key: error(f"unexpected role 'system' {key}", 400),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("key", KEYS)
def test_no_error_or_log_line_has_the_key(
    answer: str, key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEST_KEY", key)

    async def script(_server: Loopback, _n: int, _request: web.Request) -> web.Response:
        return ANSWERS[answer](key)

    shown = ""
    with Loopback(script) as loopback:
        try:
            ask(loopback.url, REQUEST, api_key_env="TEST_KEY")
        except Exception as failure:
            shown = "".join(traceback.format_exception(failure)) + repr(failure)
    assert loopback.headers[0]["Authorization"] == f"Bearer {key}"
    assert shown or answer == "a content filter"
    coded = base64.b64encode(f"user:{key}".encode()).decode()
    hexed, escaped = key.encode().hex(), "".join(f"%{ord(c):02X}" for c in key)
    forms = (key, key[:-4], key[8:], key[:9], key.upper(), quote(key, safe=""), coded)
    for form in (*forms, hexed, escaped, " ".join(key)):
        assert form not in shown + caplog.text


def test_the_list_of_models_does_not_show_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEYS[0])

    async def script(_server: Loopback, _n: int, _request: web.Request) -> web.Response:
        return error("no such model", 404)

    async def models(self: Loopback, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}, {"id": request.headers["Authorization"]}]})

    monkeypatch.setattr(Loopback, "models", models)
    with Loopback(script) as loopback, pytest.raises(Exception, match="it has: Bearer") as caught:
        ask(loopback.url, REQUEST, api_key_env="TEST_KEY")
    assert KEYS[0] not in str(caught.value)


def test_headers_with_secrets_are_hidden_too() -> None:
    headers = {
        "api-key": "header-secret-1",
        "Cookie": "session=cookie-secret-2",
        "X-Team": "nlp-team",
        "X-Custom": "h3ad3r5secret-3",
    }

    async def script(_server: Loopback, _n: int, request: web.Request) -> web.Response:
        return error(str(dict(request.headers)), 400)

    with Loopback(script) as loopback, pytest.raises(Exception, match="answered 400") as caught:
        ask(loopback.url, REQUEST, engine={"headers": headers})
    assert "secret-" not in str(caught.value)


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEYS[1])

    async def other(_server: Loopback, _n: int, _request: web.Request) -> None:
        """A host that must never see the key."""

    with Loopback(other) as elsewhere:

        async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
            location = {"Location": f"{elsewhere.url}/chat/completions"}
            return web.Response(status=(301, 302, 303, 307, 308)[n], headers=location)

        with Loopback(script) as loopback:
            for _ in range(5):
                with pytest.raises(Exception, match=f"redirects to {elsewhere.url}/chat"):
                    ask(loopback.url, REQUEST, api_key_env="TEST_KEY")
    assert elsewhere.count == 0


def test_a_finish_reason_and_tokens_are_given_without_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_KEY", KEYS[2])
    tokens = [{"token": KEYS[2], "logprob": -0.5}, {"token": "1", "logprob": -1.0}]

    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        choice = {"message": {"content": "1"}, "finish_reason": KEYS[2]}
        choice["logprobs"] = {"content": [{"token": "1", "logprob": 0, "top_logprobs": tokens}]}
        return web.json_response({"choices": [choice]})

    with Loopback(script) as loopback:
        reply = ask(loopback.url, REQUEST, api_key_env="TEST_KEY")
    assert reply.finish == "***"
    assert reply.top == {"***": -0.5, "1": -1.0}


@pytest.mark.parametrize("key", KEYS)
def test_a_good_reply_that_repeats_the_key_is_given_without_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    coded = base64.b64encode(f"user:{key}".encode()).decode()
    text = f"鍵は{key}と{quote(key, safe='')}と{coded}だ。password: 犬"

    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        return good(n, text)

    with Loopback(script) as loopback:
        shown = ask(loopback.url, REQUEST, api_key_env="TEST_KEY").text
    assert shown.startswith("鍵は***と***と")
    assert shown.endswith("***だ。password: 犬")
