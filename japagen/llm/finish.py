"""What an engine's finish reason means: a complete reply, or why it is rejected."""

from __future__ import annotations

REFUSED = "refused"  # the finish reason of a request that a content filter refused

# OpenAI-compatible servers, vLLM, llama.cpp, TGI, and gateways to other APIs.
COMPLETE = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn"})
TRUNCATED = frozenset({"length", "max_tokens", "model_length", "limit"})
FILTERED = frozenset(
    {REFUSED, "refusal", "content_filter", "content_filtered", "safety", "recitation"}
    | {"blocklist", "prohibited_content", "spii", "sensitive", "guardrail_intervened"}
)


def rejection(finish: str) -> str:
    """Return "" if a reply that ended with `finish` is complete, else the rejection reason.

    `truncated`: cut off at the token limit. `refused`: a content filter stopped it. `unfinished`:
    anything else, also a missing or unknown finish reason, because the text may be half a sentence.
    """
    reason = finish.lower()
    if reason in COMPLETE:
        return ""
    if reason in TRUNCATED:
        return "truncated"
    return "refused" if reason in FILTERED else "unfinished"


def restored(reason: str) -> str:
    """Return a finish reason of a reply that was rejected for `reason`, as `rejection` reads it."""
    return {"truncated": "length", "refused": REFUSED, "unfinished": ""}.get(reason, "stop")


def answer(text: str, finish: str) -> str:
    """Return what may be read of a short answer: `text`, or "" if it was refused or is unfinished.

    A part of an answer may name another label. At the token limit, the answer is at the beginning.
    """
    return text if rejection(finish) in ("", "truncated") else ""
