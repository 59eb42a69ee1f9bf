"""The HTTP engine against a scripted server on this machine: faults, refused prompts, waits."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from japagen import llm
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import EvaluateConfig
from japagen.evaluation import prompting
from japagen.evaluation.answers import predictions
from japagen.gold.example import Example
from japagen.llm import http_error, question, server
from tests.conftest import Compose
from tests.loopback import Loopback, Script, ask, cut, first, good, healthy, make

KEY = "sk-test-5f0c2a77e1b94d3c"
REQUEST = llm.Request(messages=({"role": "user", "content": "書いてください。"},))


def half(n: int, _request: web.Request) -> web.StreamResponse:
    return web.Response(body=(good(n).body or b"")[:60], content_type="application/json")  # type: ignore[index]


TEMPORARY: dict[str, Callable[[int, web.Request], web.StreamResponse]] = {
    "500": lambda _n, _request: web.json_response(
        {"error": {"message": "out of luck"}}, status=500
    ),
    "503 in HTML": lambda _n, _request: web.Response(text="<html>Bad gateway</html>", status=503),
    "reset": lambda _n, request: cut(request),
    "half a JSON": half,
    "no choices": lambda n, _request: good(n, choices=[]),
    "an error with status 200": lambda _n, _request: web.json_response(
        {"error": {"message": "provider is down"}}
    ),
    "429 without a time": lambda _n, _request: web.json_response(
        {"error": "slow down"}, status=429, headers={"retry-after-ms": "20"}
    ),
}


@pytest.mark.parametrize("name", TEMPORARY)
def test_a_temporary_fault_is_tried_again(
    composed: Compose, quick: list[tuple[int, float | None]], name: str
) -> None:
    with Loopback(first(3, TEMPORARY[name])) as loopback:
        make(composed, loopback.url)
    assert len(quick) == 3
    assert loopback.count == 8 + 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("500", "answered 500: out of luck"),
        ("503 in HTML", "answered 503: <html>Bad gateway</html>"),
        ("half a JSON", r"the reply is not valid JSON \(60 bytes\)"),
        ("reset", r"the connection broke \(Server"),
        ("no choices", "the reply has no choices"),
        ("an error with status 200", "the reply is an error: .*provider is down"),
    ],
)
def test_the_error_names_the_fault(name: str, message: str) -> None:
    with (
        Loopback(first(1, TEMPORARY[name])) as loopback,
        pytest.raises(llm.EngineError, match=message),
    ):
        ask(loopback.url, REQUEST)


@pytest.mark.slow
def test_a_permanent_fault_ends_the_job(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    with (
        Loopback(first(10**6, TEMPORARY["500"])) as loopback,
        pytest.raises(UserError, match=r"(?s)failed 5 times .*out of luck.*same command"),
    ):
        make(composed, loopback.url)
    assert {retry_after for _, retry_after in quick} == {None}


def test_a_server_that_is_down_at_the_start_is_named(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    with Loopback(healthy) as loopback:
        url = loopback.url
    with pytest.raises(
        UserError, match=rf"(?s){url} cannot be reached.*vllm serve swallow-8b.*llm.serve=true"
    ):
        make(composed, url)
    assert {retry_after for _, retry_after in quick} == {None}


@pytest.mark.slow
def test_a_server_that_restarts_is_waited_for(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    tasks = []

    async def script(loopback: Loopback, n: int, request: web.Request) -> web.StreamResponse | None:
        if n == 3:
            tasks.append(asyncio.ensure_future(loopback.restart(0.5)))
            return cut(request)
        return None

    with Loopback(script) as loopback:
        make(composed, loopback.url)
    assert http_error.DOWN_PAUSE in {retry_after for _, retry_after in quick}


@pytest.mark.slow
def test_a_request_ends_after_the_timeout(
    composed: Compose, quick: list[tuple[int, float | None]]
) -> None:
    async def script(_loopback: Loopback, n: int, _request: web.Request) -> None:
        await asyncio.sleep(2 if n == 0 else 0)

    with Loopback(script) as loopback:
        make(composed, loopback.url, "llm.engine.timeout=0.2")
    assert len(quick) == 1


@pytest.mark.slow
def test_after_429_no_request_is_sent_before_the_time_is_over(composed: Compose) -> None:
    async def script(
        _loopback: Loopback, n: int, _request: web.Request
    ) -> web.StreamResponse | None:
        return web.json_response({}, status=429, headers={"Retry-After": "1"}) if n == 4 else None

    with Loopback(script) as loopback:
        make(composed, loopback.url)
    in_flight = 4
    assert all(later - loopback.times[4] > 0.9 for later in loopback.times[4 + in_flight :])


def test_replies_in_the_wrong_language_end_in_a_shortfall(composed: Compose) -> None:
    async def script(_loopback: Loopback, n: int, _request: web.Request) -> web.StreamResponse:
        return good(n, f"This is sentence number {n}.")

    with (
        Loopback(script) as loopback,
        pytest.raises(
            UserError,
            match=r"(?s)8 of 8 examples are missing after 3 attempts each:.*not_japanese 12",
        ),
    ):
        make(composed, loopback.url, "max_attempts=3")
    assert loopback.count == 24


CLIENT_ERRORS = {
    400: (
        {"error": {"message": "Unsupported parameter: seed"}},
        r"Unsupported parameter: seed.*Set a field to null to omit it",
    ),
    401: (
        {"error": {"message": f"Incorrect API key provided: {KEY}."}},
        r"Set a valid key: export TEST_KEY=",
    ),
    402: ({"error": {"message": "no credit"}}, r"no credit.*account of the key in TEST_KEY"),
    403: (
        {"error": {"message": f"{KEY} may not use it"}},
        r"\*\*\* may not use it.*account of the key in TEST_KEY",
    ),
    404: (
        {"error": {"message": "The model `swallow-8` does not exist."}},
        r"did you mean 'swallow-8b'\?; it has: qwen3-8b, swallow-8b",
    ),
    429: (
        {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}},
        "exceeded your quota.*use and spend",
    ),
}


@pytest.mark.parametrize("status", CLIENT_ERRORS)
def test_an_error_of_the_client_ends_the_job_and_says_what_to_do(
    composed: Compose,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """The server repeats the key, and no message, traceback, log or file has it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TEST_KEY", KEY)
    answer, expected = CLIENT_ERRORS[status]

    async def script(
        _loopback: Loopback, n: int, _request: web.Request
    ) -> web.StreamResponse | None:
        return web.json_response(answer, status=status) if n > 2 else None

    with (
        Loopback(script) as loopback,
        pytest.raises(UserError, match=f"(?s)answered {status}.*{expected}") as caught,
    ):
        make(composed, loopback.url, "llm.api_key_env=TEST_KEY", "llm.model=swallow-8")
    assert loopback.count <= 7
    assert {headers["Authorization"] for headers in loopback.headers} == {f"Bearer {KEY}"}
    shown = "".join(
        [
            *traceback.format_exception(caught.value),
            repr(caught.value),
            *capfd.readouterr(),
            caplog.text,
        ]
    )
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 1
    assert not [text for text in [shown, *files] if KEY in text or KEY[:10] in text]


def test_a_wrong_path_is_named() -> None:
    with (
        Loopback(healthy) as loopback,
        pytest.raises(UserError, match=r"answered 404.*usually ends in /v1"),
    ):
        ask(loopback.url.removesuffix("/v1"), llm.Request(text="a"))


def refusing(share: int) -> Script:
    """A script that refuses one request of `share` for its content."""
    body = {"error": {"code": "content_filter", "message": "filtered"}}

    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response | None:
        return web.json_response(body, status=400) if n % share == 0 else None

    return script


def test_a_refused_prompt_is_a_rejected_reply_and_the_dataset_becomes_whole(
    composed: Compose, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with Loopback(refusing(3)) as loopback:
        make(composed, loopback.url)
    assert loopback.count == 12
    assert "refused 4" in capsys.readouterr().out
    assert len([r for r in caplog.records if "because of its content" in r.getMessage()]) == 1


def test_prompts_that_are_always_refused_end_in_a_shortfall(composed: Compose) -> None:
    with (
        Loopback(refusing(1)) as loopback,
        pytest.raises(UserError, match=r"(?s)8 of 8 examples are missing.*refused 12"),
    ):
        make(composed, loopback.url, "max_attempts=3")
    assert loopback.count == 24


def test_a_server_that_refuses_all_requests_ends_the_job(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ALL_REFUSED", 6)
    with (
        Loopback(refusing(1)) as loopback,
        pytest.raises(UserError, match=r"refused the first 6 requests.*filtered content_filter"),
    ):
        make(composed, loopback.url)


@pytest.mark.parametrize("finish", ["content_filter", "error", "abort", None, "SAFETY"])
def test_half_a_reply_is_no_example(composed: Compose, finish: str | None) -> None:
    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response | None:
        choice = {"message": {"content": "犬が公園で走って"}, "finish_reason": finish}
        return good(n, choices=[choice]) if n % 2 else None

    with Loopback(script) as loopback:
        examples = make(composed, loopback.url)
    assert loopback.count >= 15
    assert not [e for e in examples if "走って" in e.texts[0] and not e.texts[0].endswith("。")]


@pytest.mark.slow
def test_a_refused_question_is_an_unparsed_answer(composed: Compose) -> None:
    """A cut answer, too: its first digit may be that of another answer."""

    options = ["llm=server", "llm.model=m", "task=jnli", "llm.concurrency=1"]

    config = check(composed("evaluate", *options), EvaluateConfig)
    answer = next(iter(question.choices(config.task)))

    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        if n == 0:
            return web.json_response({"error": {"code": "content_filter"}}, status=400)
        finish = "content_filter" if n == 1 else "stop"
        choice = {"message": {"content": answer}, "finish_reason": finish}
        return good(n, choices=[choice])

    with Loopback(script) as loopback:
        config = check(
            composed("evaluate", *options, f"llm.base_url={loopback.url}"), EvaluateConfig
        )
        rows = [llm_row(str(n)) for n in range(4)]
        asked = prompting.Prompting(
            config.task, config.llm, 0, 0, config.max_chars, None, config.answer_dir
        )
        found = predictions(prompting.run(asked, rows).by_row, rows, config.task)
    assert [row["predicted"] is None for row in found] == [True, True, False, False]


def llm_row(name: str) -> Example:
    return Example(name, ("犬が走る。", "犬がいる。"), "entailment")


def test_replies_without_token_counts_are_kept_and_noted_once(
    composed: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        return good(n, usage=None)

    with Loopback(script) as loopback:
        make(composed, loopback.url)
    assert loopback.count == 8
    assert len([r for r in caplog.records if "sends no token counts" in r.getMessage()]) == 1


def test_the_spending_limit_holds_without_token_counts(composed: Compose) -> None:
    async def script(_server: Loopback, n: int, _request: web.Request) -> web.Response:
        return good(n, usage=None)

    prices = ["llm.price_prompt=1000", "llm.price_completion=1000", "llm.max_cost=0.1"]
    with Loopback(script) as loopback, pytest.raises(UserError, match="spending limit"):
        make(composed, loopback.url, *prices)


@pytest.mark.slow
def test_a_server_that_loads_its_model_is_waited_for(
    composed: Compose, quick: list[tuple[int, float | None]], caplog: pytest.LogCaptureFixture
) -> None:
    body = {"error": {"message": "Loading model", "type": "unavailable_error"}}
    with Loopback(first(40, lambda _n, _r: web.json_response(body, status=503))) as loopback:
        make(composed, loopback.url)
    assert {wait for _, wait in quick} == {http_error.DOWN_PAUSE}
    assert "Loading model; trying again in" in caplog.text
    assert "a request waits 60 min at most" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "System role not supported"),
        (500, "Conversation roles must alternate user/assistant"),
        (422, "the chat template has no place for a system message"),
    ],
)
def test_a_template_without_a_system_role_gets_the_text_in_the_user_message(
    composed: Compose, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(server: Loopback, n: int, _request: web.Request) -> web.Response | None:
        first_role = server.bodies[n]["messages"][0]["role"]
        return (
            web.json_response({"message": message}, status=status)
            if first_role == "system"
            else None
        )

    with Loopback(script) as loopback:
        make(composed, loopback.url)
        refused = [body for body in loopback.bodies if body["messages"][0]["role"] == "system"]
        assert 1 <= len(refused) <= 4
        system, user = refused[0]["messages"][:2]
        merged = f"{system['content']}\n\n{user['content']}"
        assert merged in [body["messages"][0]["content"] for body in loopback.bodies]
        before = loopback.count
        make(composed, loopback.url, "llm.system_role=false")
        assert loopback.count == before + 8
    assert caplog.text.count("llm.system_role=false") == 1
