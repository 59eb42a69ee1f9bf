"""Options of the llm group."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from japagen.config.limit import limit_problems, limited
from japagen.config.target import target_problems


@dataclass
class LLM:
    """An engine and a model. `sampling` and `engine` are passed to the engine unchanged.

    `writers`: with llm=mixed, the LLMs that write a dataset in turn.
    """

    _target_: str = MISSING
    name: str = MISSING
    model: str = MISSING
    chat: bool = True
    # false: the chat template has no system role; the system text precedes the first user message.
    system_role: bool = True
    licence: str = "unknown"
    concurrency: int = limited(1, least=1)
    # What an example takes, measured on two CPU cores; generate.py says it before it begins.
    seconds_per_example: float | None = limited(None, above=0)
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
    writers: dict[str, LLM] = field(default_factory=dict)

    @property
    def each(self) -> list[LLM]:
        """The LLMs that write a dataset: the writers, or this one."""
        return list(self.writers.values()) or [self]

    def joined(self) -> LLM:
        """Return this LLM, with what its writers have together in place of its own."""
        if not self.writers:
            return self
        each = self.each
        return dataclasses.replace(
            self,
            name="+".join(writer.name for writer in each),
            model=", ".join(writer.model for writer in each),
            licence=", ".join(dict.fromkeys(writer.licence for writer in each)),
            # Each writes the same share.
            price_prompt=sum(writer.price_prompt for writer in each) / len(each),
            price_completion=sum(writer.price_completion for writer in each) / len(each),
        )

    def writer_problems(self, allowed_targets: Sequence[str]) -> Iterator[str]:
        """Fewer than two writers, the same one twice, and mistakes in one of them."""
        names = [writer.name for writer in self.writers.values()]
        if self._target_.endswith(".Mixed") and len(set(names)) < max(2, len(names)):
            yield (
                f"llm=mixed has the writers {', '.join(names) or 'none'}; it needs two or more "
                "with different names: add llm@llm.writers.first=NAME llm@llm.writers.second=NAME, "
                "and for two models of one server llm.writers.second.name=OTHER"
            )
        if self.writers and self.concurrency != LLM.concurrency:
            yield (
                "llm.concurrency is not used by llm=mixed: add llm.writers.NAME.concurrency=N for "
                f"one or more of {', '.join(self.writers)}"
            )
        for key, writer in self.writers.items():
            where = f"llm.writers.{key}"
            if writer.writers:
                yield f"{where} is a mixture itself; allowed: one LLM, e.g. llm@{where}=fake"
            if writer.max_cost is not None:
                yield f"{where}.max_cost is for a whole dataset: add llm.max_cost instead"
            yield from limit_problems(writer, f"{where}.")
            yield from target_problems(f"{where}._target_", writer._target_, allowed_targets)

    def problems(self, allowed_targets: Sequence[str]) -> Iterator[str]:
        """A spending limit without prices, and a class that must not be imported."""
        if self.max_cost is not None and not (self.price_prompt or self.price_completion):
            yield (
                "llm.max_cost needs prices: add llm.price_prompt=... and llm.price_completion=... "
                "in US dollars per million tokens"
            )
        yield from target_problems("llm._target_", self._target_, allowed_targets)
        yield from self.writer_problems(allowed_targets)
