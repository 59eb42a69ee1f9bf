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
        pairs = [
            (token["token"], token["logprob"]) for token in content[0].get("top_logprobs") or []
        ]
    else:
        pairs = list(((given.get("top_logprobs") or [None])[0] or {}).items())
    return summed(pairs)


def summed(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add the probabilities of tokens that differ only in spaces, such as "1" and " 1"."""
    shares: dict[str, float] = {}
    for token, value in pairs:
        if not value <= ROUNDING:  # also refuses NaN
            raise ValueError(f"{value} is not a log-probability")
        shares[token.strip()] = shares.get(token.strip(), 0.0) + math.exp(value)
    return {token: math.log(share) for token, share in shares.items() if share > 0}
