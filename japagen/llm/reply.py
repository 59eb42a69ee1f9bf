"""What an OpenAI-compatible server answered: a completion, or what is wrong and when to come back."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from japagen.llm import Completion, EngineError, likeliest

KEY_LIKE = re.compile(r"\b(?:sk|key)-[\w*.-]{6,}")


def completion(payload: bytes) -> Completion:
    """The Completion in a server's JSON, or EngineError that says what is wrong with it."""
    try:
        reply = json.loads(payload)
    except ValueError:
        raise EngineError(f"the reply is no whole JSON ({len(payload)} bytes)") from None
    try:
        choice, usage = reply["choices"][0], reply["usage"]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        counts = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
        return Completion(str(text or ""), str(choice["finish_reason"]), *counts, likeliest(choice))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise EngineError(defect(reply)) from None


def defect(reply: Any) -> str:
    """What a reply lacks."""
    if not isinstance(reply, dict) or "error" in reply:
        return f"the reply is an error: {str(reply)[:200]}"
    missing = [key for key in ("choices", "usage") if not reply.get(key)]
    return (
        f"the reply has no {' and no '.join(missing)}"
        if missing
        else f"the reply has another form: {str(reply)[:200]}"
    )


def message(payload: bytes) -> str:
    """What a server says is wrong, on one line."""
    text = payload.decode(errors="replace")
    with contextlib.suppress(ValueError):
        reply = json.loads(text)
        error = reply.get("error", reply) if isinstance(reply, dict) else reply
        parts = (
            [error[key] for key in ("message", "code", "detail") if error.get(key)]
            if isinstance(error, dict)
            else [error]
        )
        text = " ".join(str(part) for part in parts)
    return " ".join(text.split())[:400]


def hidden(text: str, key: str) -> str:
    """`text` without the key, whole or shortened, because servers like to repeat it."""
    return KEY_LIKE.sub("***", text.replace(key, "***") if key else text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After (or OpenAI's retry-after-ms) asks to wait, given as a number or a date; None where it is absent."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("Retry-After", "")
        if not text or text.replace(".", "", 1).isdigit():
            return float(text) if text else None
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None
