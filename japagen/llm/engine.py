"""The interface of an engine: Request, Completion, EngineError, and `load`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hydra.utils import get_class

from japagen.config.error import UserError
from japagen.config.schema import LLM

Message = dict[str, str]
Schema = dict[str, Any]


class EngineError(Exception):
    """The engine could not answer, and the same request may succeed later.

    `retry_after`: seconds to wait before the next try; None if the engine gives no time.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Request:
    """One call: `messages` for a chat model or `text` for a base model, and the sampling seed.

    With `choices`, the reply must be one of them; with `schema`, a JSON object of that schema. Not
    every engine can enforce this. `temperature` overrides the one in llm.sampling. `top`: how many
    of the most likely first tokens to return with their log-probabilities. `max_tokens`: the limit
    if llm.sampling sets none.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    seed: int = 0
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    schema: Schema | None = None
    temperature: float | None = None
    top: int = 0
    max_tokens: int | None = None


@dataclass(frozen=True)
class Completion:
    """The reply to one request. Token fields are counts.

    `finish`: why the engine stopped, in the engine's own term; `finish.rejection` interprets it. A
    request that a content filter refused has the empty text and "refused".
    `top`: log-probabilities of the most likely first tokens, before choices or a schema restrict
    them; empty if the engine has none. `estimated`: the engine gave no token counts, so each
    character is counted as one token.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    top: Mapping[str, float] = field(default_factory=dict)
    estimated: bool = False


LIMITS = ("max_tokens", "max_completion_tokens")  # what llm.sampling may call the token limit


def limit(request: Request, sampling: Mapping[str, Any]) -> dict[str, int]:
    """Return the request's token limit as a sampling option, unless `sampling` has one."""
    if request.max_tokens is None or any(name in sampling for name in LIMITS):
        return {}
    return {"max_tokens": request.max_tokens}


class Engine(Protocol):
    """The class that `_target_` in conf/llm/*.yaml names; its only argument is a config.LLM."""

    async def complete(self, request: Request) -> Completion:
        """Answer `request`.

        Raise EngineError if the same request may succeed later, UserError if it cannot.
        """

    async def close(self) -> None:
        """Free what the job no longer needs; awaited in the event loop that ran `complete`."""


def load(llm: LLM) -> Engine:
    """Return the engine that `llm._target_` names, ready to answer."""
    try:
        cls = get_class(llm._target_)
    except Exception as error:
        raise UserError(
            f"llm._target_ '{llm._target_}' of llm {llm.name} cannot be imported: {error}"
        ) from error
    engine: Engine = cls(llm)
    return engine
