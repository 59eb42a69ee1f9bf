"""HTTP errors: when to come back, refused prompts, and what the user can change."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from japagen.config.schema import LLM
from japagen.llm import http_error
from japagen.llm.engine import Request
from japagen.llm.http_error import ServerMessage


def later(seconds: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 2.5 "}, 2.5),
        ({"Retry-After": "86340"}, 86340),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "nan", "Retry-After": "9"}, 9),
        ({"retry-after-ms": "", "Retry-After": "9"}, 9),
        ({"retry-after-ms": "-1", "Retry-After": "9"}, 9),
        ({"retry-after-ms": "inf", "Retry-After": "9"}, 9),
        ({"retry-after-ms": "1500", "Retry-After": "soon"}, 1.5),
    ],
)
def test_retry_after_is_a_number_of_seconds(headers: dict[str, str], seconds: float) -> None:
    assert http_error.retry_after(headers) == seconds


def test_retry_after_is_a_date_or_a_unix_time() -> None:
    unix = time.time() + 30
    values = [
        later(30),
        later(30).replace("GMT", "-0000"),
        str(unix),
        str(int(unix * 1000)),
    ]
    waits = [http_error.retry_after({"Retry-After": value}) or 0 for value in values]
    assert waits == pytest.approx([30] * len(values), abs=2)
    assert (http_error.retry_after({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}) or 0) > 1e9


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "inf",
        "-inf",
        "nan",
        "-5",
        "0",
        "1e400",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Mon, 99 Foo 2026",
        "a,b",
    ],
)
def test_a_time_that_is_over_or_cannot_be_read_is_none(value: str) -> None:
    assert http_error.retry_after({"Retry-After": value}) is None
    assert http_error.retry_after({"retry-after-ms": value}) is None
    assert http_error.wait(429, {"Retry-After": value}, ServerMessage("")) == 5
    assert http_error.retry_after({}) is None


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (503, "Service Unavailable", 5),
        (502, "Bad gateway", 5),
        (500, "llm server loading model", 5),
        (503, "Loading model", 5),
        (500, "out of memory", None),
        (504, "upstream timed out", None),
        (408, "", None),
    ],
)
def test_a_server_that_starts_is_waited_for(status: int, text: str, seconds: float | None) -> None:
    assert http_error.wait(status, {}, ServerMessage(text)) == seconds


REFUSALS = [
    b'{"error": {"message": "The response was filtered due to the prompt triggering the service\'s '
    b'content management policy.", "type": null, "param": "prompt", "code": "content_filter", '
    b'"innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}}}',
    b'{"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}',
    b'{"error": {"code": "content_policy_violation", "message": "rejected"}}',
    b'{"error": {"message": "Invalid prompt: flagged as potentially violating our usage policy"}}',
    b'{"code": "data_inspection_failed", "message": "May contain inappropriate content."}',
    b'{"detail": "blocked by the content filter"}',
    b'{"error": {"code": 403, "message": "Your input was flagged for violence"}}',
    b"Request blocked: content policy",
    b'{"error": {"message": "Content Exists Risk", "type": "invalid_request_error", '
    b'"code": "invalid_request_error"}}',
    b'{"error": {"message": "litellm.ContentPolicyViolationError: AzureException", "code": "400"}}',
    "コンテンツポリシーに違反しているため、このリクエストは拒否されました。".encode(),
    b'{"error": {"code": 400, "message": "Request blocked: SAFETY", "status": "INVALID_ARGUMENT"}}',
    b'{"error": {"message": "Request blocked by guardrail policy"}}',
    b'{"error": {"message": "hooks_failed: guardrail checks denied", "code": 446}}',
    b'{"error": {"code": 2016, "message": "Prompt blocked due to security configurations"}}',
    b'{"error": {"message": "I\'m sorry, I can\'t respond to that."}}',
    '{"error": {"code": "1301", "message": "输入内容违规"}}'.encode(),
    b'{"error": {"message": "Your prompt was flagged. Repeated violations may lead to your account '
    b'being suspended."}}',
    b"This request violates our usage policies; your project has been flagged for review.",
    b"Your request was flagged. If your organization is flagged again, access may be blocked.",
    b"The prompt violates our terms of service.",
]
CONFIGURATION = [
    b'{"error": {"message": "Unrecognized request argument supplied: content_filter"}}',
    b'{"error": {"message": "Extra inputs are not permitted: content filter"}}',
    b'{"error": {"message": "The model m does not exist", "code": "model_not_found"}}',
    b'{"error": {"message": "maximum context length is 4096", "code": "context_length_exceeded"}}',
    b'{"error": "temperature must be below 2"}',
    b'{"error": [1, {"code": 7}], "codes": {"code": "x"}}',
    b'{"error": {"message": "Your account has been flagged for violating our usage policies."}}',
    b'{"error": {"message": "Your API key was flagged as leaked", "code": "invalid_api_key"}}',
    b'{"error": {"message": "Flagged for review", "code": "account_deactivated"}}',
    b'{"error": {"message": "Denied by safety policy of your organization: model m is disabled"}}',
    b'{"error": {"message": "1 validation error: should be a list, input: sensitive content"}}',
    "[{'role': 'user', 'content': '不適切な表現の文'}] role 'system' is unknown".encode(),
    b"Request rejected: API key violates the safety identifier policy",
    b"Your request was rejected because your account was flagged.",
    b"<html>403 ERROR The request could not be satisfied. Request blocked.</html>",
    b"",
]


@pytest.mark.parametrize("payload", REFUSALS)
def test_a_refused_prompt_is_recognised(payload: bytes) -> None:
    assert http_error.is_refusal(ServerMessage.read(payload))


@pytest.mark.parametrize("payload", CONFIGURATION)
def test_a_wrong_configuration_is_no_refused_prompt(payload: bytes) -> None:
    assert not http_error.is_refusal(ServerMessage.read(payload))


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("no template for: 次の不適切な表現を含む文を書いて", False),
        ("bad request [{'content': '不適切な内容'}, 'の不適切な表現を含む']", False),
        ("不適切な内容が含まれています: 次の不適切な表現を含む文", True),
        ("不適切な内容です", True),
        ("不適切な", True),
    ],
)
def test_words_of_the_prompt_that_are_repeated_are_no_refusal(said: str, refused: bool) -> None:
    asked = Request(messages=({"role": "user", "content": "次の不適切な表現を含む\n文を書いて"},))
    assert http_error.is_refusal(ServerMessage(said), asked) == refused
    assert http_error.is_refusal(ServerMessage(said), Request(text="別の文"))


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (
            400,
            "This model's maximum context length is 8192 tokens. You requested 9000",
            "fewer shots",
        ),
        (400, "the request exceeds the available context size", "fewer shots"),
        (400, "Prompt contains 40000 tokens, too large for model", "fewer shots"),
        (422, "inputs tokens + max_new_tokens must be <= 4096. Given: 5000", "fewer shots"),
        (413, "Payload Too Large", "fewer shots"),
        (400, "prompt too long; exceeded max context length by 3 tokens", "fewer shots"),
        (400, "Input length of input_ids is 5000, but max_length is set to 4096", "fewer shots"),
        (400, "max_tokens must be at least 1, got -904", "fewer shots"),
        (400, "max_tokens must be greater than 0, got 0.", "fewer shots"),
        (400, "prompt length 5000 is greater than the model limit", "fewer shots"),
        (400, "Range of input length should be [1, 30720]", "fewer shots"),
        (400, "入力が長すぎます", "fewer shots"),
        (400, "temperature must be at least 0, got -1", "null to omit"),
        (400, "max_tokens must be an integer, got 0.5", "null to omit"),
        (400, "max_tokens is too large: 9999. This model supports at most 4096", "max_tokens"),
        (
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model",
            "null to omit",
        ),
        (400, "'seed' is not supported by model m", "null to omit"),
        (400, "the model `n` is not loaded", "null to omit"),
        (400, "unexpected role: tool", "llm.system_role=false"),
        (404, "no such resource", "usually ends in /v1"),
    ],
)
def test_the_advice_fits_the_error(status: int, said: str, expected: str) -> None:
    """The model's own name is never the advice where the server has that model."""
    models = ["m", "n"]
    advice = http_error.advice(LLM("x", "server", "m"), status, said, models)
    assert said in advice
    assert expected in advice
    assert "did you mean" not in advice


def test_a_wrong_model_is_answered_with_the_names_of_the_server() -> None:
    for status, said in ((404, "not found"), (400, "invalid model ID")):
        advice = http_error.advice(LLM("x", "server", "swalow"), status, said, ["qwen", "swallow"])
        assert "did you mean 'swallow'?; it has: qwen, swallow" in advice


def test_a_message_is_one_line_without_control_characters() -> None:
    text = "a\x1b[31mb\n\u202ec\u200b\td"
    assert ServerMessage.read(text.encode()).text == "a [31mb c d"
    assert ServerMessage.of({"error": {"message": text}}).text == "a [31mb c d"
