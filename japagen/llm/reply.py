"""Read the JSON of an OpenAI-compatible reply into a Completion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from japagen.llm.engine import Completion, EngineError, Request
from japagen.llm.finish import REFUSED
from japagen.llm.http_error import NOTHING, ServerMessage, is_blocked, is_refusal
from japagen.llm.logprobs import first_token

MOST_TOKENS = 10**9  # no reply has more; a larger count is an error that would spoil the sums


def completion(payload: bytes, request: Request = NOTHING) -> Completion:
    """The Completion in a server's JSON.

    `request`: what was sent, from which missing token counts are estimated. Raises EngineError that
    says what is wrong; it may repeat what the server wrote, including secrets.
    """
    try:
        reply = json.loads(payload, parse_constant=not_json)
    except (ValueError, RecursionError):
        raise EngineError(f"the reply is not valid JSON ({len(payload)} bytes)") from None
    return from_json(reply, request)


def not_json(name: str) -> Any:
    """Refuse NaN and Infinity, which Python's reader accepts and JSON does not have."""
    if name == "-Infinity":
        return -math.inf  # the log-probability of an impossible token
    raise ValueError(name)


def from_json(reply: Any, request: Request = NOTHING) -> Completion:
    """The Completion in a reply that is parsed already."""
    if isinstance(reply, dict) and reply.get("error") and not reply.get("choices"):
        message = ServerMessage.of(reply)
        if is_refusal(message, request):
            return Completion("", REFUSED, 0, 0)
        raise EngineError(f"the reply is an error: {message.text}")
    if isinstance(reply, dict) and not reply.get("choices") and is_blocked(reply):
        return Completion("", REFUSED, 0, 0)
    try:
        choice = reply["choices"][0]
        text, finish = content(choice), choice.get("finish_reason")
        if not text and (choice.get("message") or {}).get("refusal"):
            finish = REFUSED
        counts, estimated = usage(reply.get("usage"), request, text)
        top = first_token(choice)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise EngineError(defect(reply)) from None
    return Completion(text, finish if isinstance(finish, str) else "", *counts, top, estimated)


def content(choice: Mapping[str, Any]) -> str:
    """The text of a choice: of a chat message, also as a list of parts, or of a completion."""
    found = choice["message"]["content"] if "message" in choice else choice["text"]
    if isinstance(found, list):
        found = "".join(part_text(part) for part in found)
    if found is not None and not isinstance(found, str):
        raise TypeError
    return found or ""


def part_text(part: Any) -> str:
    """The text of one part of a message; "" for parts that are thoughts, images and so on."""
    if isinstance(part, str):
        return part
    text = part["text"] if part.get("type", "text") in ("text", "output_text") else ""
    if not isinstance(text, str):
        raise TypeError
    return text


def usage(counts: Any, request: Request, text: str) -> tuple[tuple[int, int], bool]:
    """(prompt, completion) tokens, and whether one was estimated.

    A missing count is one token per character: for Japanese a little too many, so that the spending
    limit still holds.
    """
    prompt, completed = ((counts or {}).get(f"{name}_tokens") for name in ("prompt", "completion"))
    estimated = prompt is None or completed is None
    if prompt is None:
        prompt = len(request.text) + sum(len(message["content"]) for message in request.messages)
    if completed is None:
        completed = len(text)
    if not (0 <= prompt <= MOST_TOKENS and 0 <= completed <= MOST_TOKENS):
        raise ValueError
    return (int(prompt), int(completed)), estimated


def defect(reply: Any) -> str:
    """What is wrong with a reply."""
    if not isinstance(reply, dict):
        return f"the reply is not a JSON object: {reply}"
    if not reply.get("choices"):
        return "the reply has no choices"
    return f"the reply has another form: {reply}"
