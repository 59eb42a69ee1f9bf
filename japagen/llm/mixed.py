"""llm=mixed outside of generation: an error, because only a dataset is written by several LLMs."""

from __future__ import annotations

from japagen.config.error import UserError
from japagen.config.schema import LLM
from japagen.llm.engine import Completion, Request


class Mixed:
    """Stands for the writers of llm=mixed, which generate.py opens one after the other."""

    def __init__(self, llm: LLM) -> None:
        names = [writer.name for writer in llm.writers.values()]
        raise UserError(
            f"llm=mixed writes datasets and answers no questions; allowed here: one LLM, "
            f"e.g. llm={names[0] if names else 'fake'}"
        )

    async def complete(self, request: Request) -> Completion:
        """Never called."""
        raise NotImplementedError

    async def close(self) -> None:
        """Never called."""
