"""Models without a system role."""

from __future__ import annotations

import pytest

from japagen.llm.chat import SystemRole
from japagen.llm.engine import Message, Request


def message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


SYSTEM = message("system", "記者です。")
SHOTS = (message("user", "一"), message("assistant", "二"), message("user", "三"))


@pytest.mark.parametrize(
    "error",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "After the optional system message, conversation roles must alternate",
        "Only user and assistant roles are supported!",
        "Unexpected role 'system'",
        "Expected user first, got system",
        "expected 'user' but got 'system'",
        "Developer instruction is not enabled for models/small-it",
    ],
)
def test_the_first_error_merges_the_system_text_into_the_first_user_message(error: str) -> None:
    role, request = SystemRole(supported=True), Request(messages=(SYSTEM, *SHOTS), seed=3)
    assert role.adapt(request) is request
    assert role.missing(request, error)
    adapted = role.adapt(request)
    assert adapted.messages == (message("user", "記者です。\n\n一"), *SHOTS[1:])
    assert adapted.seed == 3
    assert not role.missing(adapted, error), "nothing is left to merge: the error must be shown"


@pytest.mark.parametrize(
    "error", ["Unknown field system_fingerprint", "file system full", "temperature must be below 2"]
)
def test_other_errors_change_nothing(error: str) -> None:
    role, request = SystemRole(supported=True), Request(messages=(SYSTEM, *SHOTS))
    assert not role.missing(request, error)
    assert role.adapt(request) is request


def test_the_option_merges_from_the_first_request() -> None:
    role = SystemRole(supported=False)
    assert role.adapt(Request(messages=(SYSTEM,))).messages == (message("user", "記者です。"),)
    assert role.adapt(Request(messages=SHOTS)).messages == SHOTS
    assert role.adapt(Request(text="むかし")).text == "むかし"
