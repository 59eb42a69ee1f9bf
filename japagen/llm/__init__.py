"""Request to completion: one small class with one async method for each engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hydra.utils import get_class

from japagen.config.error import UserError
from japagen.config.schema import LLM

Message = dict[str, str]
Schema = dict[str, Any]


class EngineError(Exception):
    """The engine failed to answer one request; the same request may be sent again.

    `retry_after`: seconds after which the engine says that it can answer; None where it does not say.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Request:
    """One call: `messages` for a chat model, `text` for a base model, and the seed of its sampling.

    The reply must be one of `choices`, or a JSON object of `schema`, where an engine can hold the model to it.
    `temperature` goes before the one in llm.sampling. `top`: so many of the likeliest first tokens are wanted, too.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    seed: int = 0
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    schema: Schema | None = None
    temperature: float | None = None
    top: int = 0


@dataclass(frozen=True)
class Completion:
    """The reply. `finish`: "stop", or "length" where the token limit cut it off. Tokens are counts.

    `top`: log-probabilities of the likeliest first tokens, before they are held to a form; empty where the engine gives none.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    top: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """What conf/llm/*.yaml names in `_target_`; called with the fields of config.LLM."""

    async def complete(self, request: Request) -> Completion:
        """Answer `request`, or raise EngineError (worth another try) or UserError (it is not)."""

    async def close(self) -> None:
        """Free what the job does not need any more; awaited in the loop in which `complete` was."""


def likeliest(choice: Mapping[str, Any]) -> dict[str, float]:
    """The first token's log-probabilities in a choice of an OpenAI-compatible reply, chat or completion; none where it has none."""
    told = choice.get("logprobs") or {}
    if content := told.get("content"):
        pairs = [
            (token["token"], token["logprob"]) for token in content[0].get("top_logprobs") or []
        ]
    else:
        pairs = list(((told.get("top_logprobs") or [None])[0] or {}).items())
    return summed(pairs)


def summed(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Log-probabilities by token, where "1" and " 1" are the same token."""
    found: dict[str, float] = {}
    for token, value in pairs:
        found[token.strip()] = found.get(token.strip(), 0.0) + math.exp(value)
    return {token: math.log(share) for token, share in found.items() if share > 0}


def load(llm: LLM) -> Engine:
    """The engine that `llm._target_` names, ready to answer."""
    try:
        cls = get_class(llm._target_)
    except Exception as error:
        raise UserError(
            f"llm._target_ '{llm._target_}' of llm {llm.name} cannot be imported: {error}"
        ) from error
    engine: Engine = cls(llm)
    return engine
