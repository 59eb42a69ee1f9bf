"""Request to completion: one small class with one async method for each engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hydra.utils import get_class

from japagen.config import LLM, UserError

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
    `temperature` goes before the one in llm.sampling.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    seed: int = 0
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    schema: Schema | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class Completion:
    """The reply. `finish`: "stop", or "length" where the token limit cut it off. Tokens are counts."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int


class Engine(Protocol):
    """What conf/llm/*.yaml names in `_target_`; called with the fields of config.LLM."""

    async def complete(self, request: Request) -> Completion:
        """Answer `request`, or raise EngineError (worth another try) or UserError (it is not)."""

    async def close(self) -> None:
        """Free what the job does not need any more; awaited in the loop in which `complete` was."""


def load(llm: LLM) -> Engine:
    """The engine that `llm._target_` names, ready to answer."""
    try:
        cls = get_class(llm._target_)
    except Exception as error:
        raise UserError(f"llm._target_ '{llm._target_}' of llm {llm.name} cannot be imported: {error}") from error
    engine: Engine = cls(llm)
    return engine
