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
from japagen.llm.engine import Request

NOTHING = Request()
TEMPORARY = {408, 409, 425, 429}  # and 5xx: the same request may succeed later
STARTING = {502, 503}  # the server, or the one behind a gateway, is not ready
RATE_PAUSE = 5.0  # seconds after a 429 that does not say how long
LONGEST = 65536  # characters of a message that are read
DOWN_PAUSE = 5.0  # seconds between tries where a server is being started

# Codes of a request that was refused for its content: OpenAI, Azure, Alibaba, and gateways.
REFUSAL_CODE = re.compile(
    r"content_?filter|content_?policy|responsibleaipolicy|content_management|data_?inspection"
    r"|moderation|safety_|sensitive_|prohibited_content|guardrail",
    re.IGNORECASE,
)
REFUSAL_TEXT = re.compile(
    r"content (?:filter|management policy|moderation|safety)|content[ _-]?policy|usage polic"
    r"|responsible ai|flagged|(?:inappropriate|sensitive|harmful) (?:content|words)"
    r"|safety (?:system|filter|polic)|moderation|content exists risk"
    r"|(?:blocked|rejected|denied|violat\w*)\b[^.]{0,40}\b(?:safety|guardrails?|blocklist)"
    r"|(?:request|prompt|input|message) violate[sd]?\b[^.]{0,40}\b(?:polic|terms|guidelines)"
    r"|guardrails?\b[^.]{0,40}\b(?:blocked|rejected|denied|violat|intervened|triggered)"
    r"|(?:prompt|input|output|response) (?:was |is |has been )?blocked"
    r"|can['’]?(?:no)?t (?:respond to|assist with|help with) (?:that|this)"
    r"|コンテンツの?(?:ポリシー|フィルタ|安全)|(?:ポリシー|規約|ガイドライン)[にの]違反|不適切な"
    r"|敏感内容|内容违规|违规内容",
    re.IGNORECASE,
)
# Of errors whose message may have such words, but which every prompt would get.
ALL_CODE = re.compile(r"account|api_?key|billing|quota|permission|terminated", re.IGNORECASE)
ALL_FORM = re.compile(r"validation error|should be a valid|unsupported template", re.IGNORECASE)
ALL_TEXT = re.compile(
    r"\b(?:account|key|organi[sz]ation|project|subscription|ip address)\b[^.]{0,40}"
    r"\b(?:been|was|is|are|were) (?:\w+ )?"
    r"(?:flagged|suspended|deactivated|disabled|banned|blocked|terminated)"
    r"|(?:^|[.:;!] ?)(?:(?:your|this|the) )?(?:account|(?:api )?key|organi[sz]ation|project)\b"
    r"[^.]{0,40}\bviolat",
    re.IGNORECASE,
)
# Of this request, whatever the message says about the account after it.
ONE_TEXT = re.compile(
    r"\b(?:this|your|the) (?:request|prompt|input|message)\b"
    r"(?:(?!account|key|organi[sz]ation|project|subscription)[^.:;]){0,60}\b(?:violat|flagged)",
    re.IGNORECASE,
)
# A part of the request that the message repeats: {'role': 'user', 'content': '...'}
ECHO = re.compile(r"(['\"])(?:content|text|prompt|input)\1\s*:\s*(['\"]).*?\2", re.DOTALL)
CONTEXT = 4  # characters beside a word by which it is found in the prompt
BAD_FIELD = re.compile(
    r"(?:unknown|unrecogni[sz]ed|unsupported|unexpected|invalid|extra) (?:request )?"
    r"(?:param|arg|field|option|value|input|keyword|property)"
    r"|(?:is|are) not (?:supported|permitted|allowed|recogni[sz]ed)|no such field",
    re.IGNORECASE,
)
TOO_LONG = re.compile(
    r"context[_ ](?:length|size|window)|max(?:imum)? context|too many tokens|入力が?長すぎ"
    r"|(?:prompt|input|request|message)s? (?:is |are )?too (?:long|large)"
    r"|string_above_max_length|exceed_context|max_model_len"
    r"|(?:prompt|input) length\b|length of (?:the )?(?:prompt|input)s?\b|input_ids"
    # What is left for the reply after a prompt that is too long.
    r"|(?:max_\w{0,20}tokens|max_length)[^.]{0,60}\b(?:got|given|is|=|:) ?(?:-\d|0\b(?!\.\d))"
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


def is_refusal(message: ServerMessage, request: Request = NOTHING) -> bool:
    """Whether `request` was refused for its content, and another one may be answered."""
    if any(REFUSAL_CODE.search(code) for code in message.codes):
        return True
    if BAD_FIELD.search(message.text) or ALL_FORM.search(message.text):
        return False
    if any(ALL_CODE.search(code) for code in message.codes):
        return False
    text = ECHO.sub(" ", message.text)
    if ALL_TEXT.search(message.text) and not ONE_TEXT.search(text):
        return False
    prompt = one_line("\n".join([request.text, *(one["content"] for one in request.messages)]))
    return any(not is_repeated(found, prompt) for found in REFUSAL_TEXT.finditer(text))


def is_repeated(found: re.Match[str], prompt: str) -> bool:
    """Whether the server repeats these words of the prompt, with what stands beside them there."""
    if found[0] not in prompt:
        return False
    text, (start, end) = found.string, found.span()
    before, after = text[max(0, start - CONTEXT) : end], text[start : end + CONTEXT]
    return any(part != found[0] and part in prompt for part in (before, after))


def is_blocked(reply: Any, depth: int = 6) -> bool:
    """Whether a reply without choices says that a filter blocked the prompt: Gemini, Azure."""
    if depth and isinstance(reply, dict):
        return any(
            (key in ("block_reason", "blockReason") and bool(inner) and isinstance(inner, str))
            or (key == "filtered" and inner is True)
            or is_blocked(inner, depth - 1)
            for key, inner in reply.items()
        )
    return bool(depth) and isinstance(reply, list) and any(is_blocked(x, depth - 1) for x in reply)


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

    The value may be a number of seconds, a date, or a Unix time. A value that cannot be read, is
    not finite or is over counts as absent; None where both are.
    """
    text = headers.get("Retry-After", "").strip()
    seconds = number(text)
    if seconds > UNIX_TIME:
        seconds = (seconds / 1000 if seconds > 100 * UNIX_TIME else seconds) - time.time()
    if math.isnan(seconds):
        seconds = until(text)
    for asked in (number(headers.get("retry-after-ms", "")) / 1000, seconds):
        if 0 < asked < math.inf:
            return asked
    return None


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
