"""Log-probabilities of the first token, from the forms in which engines return them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

ROUNDING = 1e-3  # a log-probability may exceed 0 by so much


def first_token(choice: Mapping[str, Any]) -> dict[str, float]:
    """Log-probabilities of the first token in a `choice` of an OpenAI-compatible reply, by token.

    Reads the form of chat completions and that of completions; empty without log-probabilities.
    Raises ValueError for a value that is no log-probability.
    """
    given = choice.get("logprobs") or {}
    if content := given.get("content"):
        found = [] if is_later(content[0]) else content[0].get("top_logprobs") or []
        pairs = [(text_of(token), token["logprob"]) for token in found]
    else:
        pairs = list(((given.get("top_logprobs") or [None])[0] or {}).items())
    return summed(pairs)


def is_later(token: Mapping[str, Any]) -> bool:
    """Whether the first token of a choice is not there, because it was a part of a character.

    llama.cpp reports the whole character with the number and the alternatives of its last token.
    """
    found = token.get("top_logprobs") or []
    return any(one.get("id") == token.get("id") is not None for one in found) and not any(
        one.get("bytes") == token.get("bytes") for one in found
    )


def text_of(token: Mapping[str, Any]) -> str:
    """Return a token's text. A part of a character stays in it as surrogates, byte by byte.

    A Japanese character may be two tokens, which are no text of their own; the first still tells
    the answer that it begins.
    """
    given = token.get("bytes")
    if isinstance(given, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in given):
        return bytes(given).decode("utf-8", "surrogateescape")
    return str(token["token"])


def summed(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add the probabilities of tokens that differ only in spaces, such as "1" and " 1"."""
    shares: dict[str, float] = {}
    for token, value in pairs:
        if not value <= ROUNDING:  # also refuses NaN
            raise ValueError(f"{value} is not a log-probability")
        shares[token.strip()] = shares.get(token.strip(), 0.0) + math.exp(value)
    return {token: math.log(share) for token, share in shares.items() if share > 0}
