"""Options of the llm group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from japagen.config.limit import limited
from japagen.config.target import target_problems


@dataclass
class LLM:
    """An engine and a model. `sampling` and `engine` are passed to the engine unchanged."""

    _target_: str = MISSING
    name: str = MISSING
    model: str = MISSING
    chat: bool = True
    # false: the chat template has no system role; the system text precedes the first user message.
    system_role: bool = True
    licence: str = "unknown"
    concurrency: int = limited(1, least=1)
    sampling: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    # For servers: the address, the name of the environment variable that holds the key, and
    # whether the job starts `vllm serve`.
    base_url: str | None = None
    api_key_env: str | None = None
    serve: bool = False
    # US dollars per million tokens, and the spending limit in US dollars per dataset.
    price_prompt: float = limited(0.0, least=0)
    price_completion: float = limited(0.0, least=0)
    max_cost: float | None = limited(None, above=0)

    def problems(self, allowed_targets: Sequence[str]) -> Iterator[str]:
        """A spending limit without prices, and a class that must not be imported."""
        if self.max_cost is not None and not (self.price_prompt or self.price_completion):
            yield (
                "llm.max_cost needs prices: add llm.price_prompt=... and llm.price_completion=... "
                "in US dollars per million tokens"
            )
        yield from target_problems("llm._target_", self._target_, allowed_targets)
