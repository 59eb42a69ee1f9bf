"""What an HTTP error of a server means: try again and when, reject the reply, or what to change."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from japagen.config.error import did_you_mean
from japagen.config.schema import LLM

TEMPORARY = {408, 409, 425, 429}  # and 5xx: the same request may succeed later
STARTING = {502, 503}  # the server, or the one behind a gateway, is not ready
RATE_PAUSE = 5.0  # seconds after a 429 that does not say how long
LONGEST = 65536  # characters of a message that are read
DOWN_PAUSE = 5.0  # seconds between tries where a server is being started

# Codes of a request that was refused for its content: OpenAI, Azure, Alibaba, and gateways.
REFUSAL_CODE = re.compile(
    r"content_?filter|content_?policy|responsibleaipolicy|content_management|data_?inspection"
    r"|moderation|safety_|sensitive_|prohibited_content",
    re.IGNORECASE,
)
REFUSAL_TEXT = re.compile(
    r"content (?:filter|policy|management policy|moderation|safety)|usage polic|responsible ai"
    r"|flagged|(?:inappropriate|sensitive|harmful) content|safety (?:system|filter|polic)"
    r"|moderation|敏感内容|不適切な",
    re.IGNORECASE,
)
BAD_FIELD = re.compile(
    r"(?:unknown|unrecogni[sz]ed|unsupported|unexpected|invalid|extra) (?:request )?"
    r"(?:param|arg|field|option|value|input|keyword|property)"
    r"|(?:is|are) not (?:supported|permitted|allowed|recogni[sz]ed)|no such field",
    re.IGNORECASE,
)
TOO_LONG = re.compile(
    r"context[_ ](?:length|size|window)|maximum context|prompt is too long|too many tokens"
    r"|input (?:is )?too long|string_above_max_length|exceed_context|max_model_len"
    r"|(?:exceed|longer than|more than|at most|too large|limit)[^.]{0,60}\btokens?\b"
    r"|\btokens?\b[^.]{0,60}(?:exceed|longer than|more than|too large|limit|<=)",
    re.IGNORECASE,
)
UNIX_TIME = 1e9  # a Retry-After above this is a point in time in seconds, of 2001 or later


@dataclass(frozen=True)
class ServerMessage:
    """What a server says is wrong: `text` on one line, and the values of its code-like fields.

    Neither is free of secrets: some servers repeat the headers of the request.
    """

    text: str
    codes: tuple[str, ...] = ()

    @classmethod
    def read(cls, payload: bytes) -> ServerMessage:
        """The message in the body of an error: JSON of a known form, or any text."""
        text = payload.decode(errors="replace")
        try:
            return cls.of(json.loads(text))
        except (ValueError, RecursionError):
            return cls(one_line(text[:LONGEST]))

    @classmethod
    def of(cls, reply: Any) -> ServerMessage:
        """The message in parsed JSON."""
        error = (reply.get("error") or reply) if isinstance(reply, dict) else reply
        parts = [error]
        if isinstance(error, dict):
            keys = ("message", "code", "detail")
            parts = [error[key] for key in keys if error.get(key)] or [error]
        return cls(one_line(" ".join(map(str, parts))[:LONGEST]), tuple(codes(reply)))


def codes(value: Any, depth: int = 6) -> Iterator[str]:
    """The texts under keys such as `code` and `type`, at any depth of an error."""
    if depth and isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and key in ("code", "type", "reason", "status", "error_code"):
                yield inner
            yield from codes(inner, depth - 1)
    elif depth and isinstance(value, list):
        for inner in value:
            yield from codes(inner, depth - 1)


def one_line(text: str) -> str:
    """`text` on one line without control characters, which could change what a terminal shows."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def is_refusal(message: ServerMessage) -> bool:
    """Whether the request was refused for its content, and another one may be answered."""
    if any(REFUSAL_CODE.search(code) for code in message.codes):
        return True
    return bool(REFUSAL_TEXT.search(message.text)) and not BAD_FIELD.search(message.text)


def is_temporary(status: int, message: ServerMessage) -> bool:
    """Whether the same request may succeed later."""
    if "insufficient_quota" in message.text or "insufficient_quota" in message.codes:
        return False
    return status in TEMPORARY or status >= 500


def wait(status: int, headers: Mapping[str, str], message: ServerMessage) -> float | None:
    """Seconds to wait before the next try; None where neither the server nor its state says."""
    asked = retry_after(headers)
    if asked is None and status == 429:
        return RATE_PAUSE
    loads = status >= 500 and re.search(r"\bload(?:ing|ed)\b", message.text, re.IGNORECASE)
    if asked is None and (loads or status in STARTING):
        return DOWN_PAUSE
    return asked


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After, or OpenAI's retry-after-ms, asks to wait.

    The value may be a number of seconds, a date, or a Unix time. None where it is absent, cannot be
    read, is not finite or is over.
    """
    if "retry-after-ms" in headers:
        seconds = number(headers["retry-after-ms"]) / 1000
    else:
        text = headers.get("Retry-After", "").strip()
        seconds = number(text)
        if seconds > UNIX_TIME:
            seconds = (seconds / 1000 if seconds > 100 * UNIX_TIME else seconds) - time.time()
        if math.isnan(seconds):
            seconds = until(text)
    return seconds if 0 < seconds < math.inf else None


def number(text: str) -> float:
    """`text` as a number; NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def until(text: str) -> float:
    """Seconds from now to a date in the form of HTTP; NaN if `text` is none."""
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        return (date - datetime.now(timezone.utc)).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return math.nan


def advice(llm: LLM, status: int, said: str, models: Sequence[str]) -> str:
    """What the user can change after a refusal. `said`: the server's message, without secrets.

    `models`: the names that the server has, empty if it does not list them.
    """
    named = llm.api_key_env
    if status == 401 and named:
        return (
            f"It does not accept the key in the environment variable {named}. It says: {said}. "
            f"Set a valid key: export {named}=..."
        )
    if status == 401:
        return (
            "It requires an API key. Put the key into an environment variable and give the "
            "variable's name: export MY_KEY=... and llm.api_key_env=MY_KEY"
        )
    if status in (402, 403, 429):
        account = f" of the key in {named}" if named else ""
        return f"It says: {said}. Check what the account{account} may use and spend."
    if 300 <= status < 400:
        return f"It redirects to {said or 'another address'}. Set llm.base_url to that address."
    return f"It says: {said}. {change(llm, status, said, models)}"


def change(llm: LLM, status: int, said: str, models: Sequence[str]) -> str:
    """Which option to change after a 400, 404, 413 or 422."""
    if not BAD_FIELD.search(said) and (status == 413 or TOO_LONG.search(said)):
        return (
            "The prompt and the reply together must fit into the context. Show the LLM less "
            "(fewer shots; in evaluate.py a smaller max_chars), lower llm.sampling.max_tokens, or "
            "start the server with a longer context (vllm serve --max-model-len)."
        )
    if models and llm.model not in models and (status == 404 or "model" in said.lower()):
        known = ", ".join(models[:30])
        return f"llm.model={llm.model}{did_you_mean(llm.model, models)}; it has: {known}"
    if status == 404:
        return "Is llm.base_url right? It usually ends in /v1."
    if re.search(r"\broles?\b|system message", said):
        return "If the model has no system role, set llm.system_role=false."
    return (
        "Fix llm.sampling. Set a field to null to omit it if the server does not know it: "
        "++llm.sampling.seed=null"
    )
