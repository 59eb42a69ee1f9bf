"""Work for one LLM at a time, while the examples of the others wait."""

from __future__ import annotations

from collections import deque

from japagen.synthesis.acceptance import Acceptor
from japagen.synthesis.plan import Plan


class Work:
    """Hands out the attempts that the plan gives to one of the LLMs.

    Only one LLM is loaded at a time: two in one process would compete for memory.
    """

    def __init__(self, plan: Plan, state: Acceptor) -> None:
        self.plan, self.state = plan, state
        self.waiting: list[deque[tuple[int, int]]] = [deque() for _ in plan.dataset.llm.each]

    def take(self, writer: int) -> tuple[int, int] | None:
        """Return the next example for an LLM and the attempt's number; None if there is none."""
        own = self.waiting[writer]
        while not own and (found := self.state.take()) is not None:
            self.waiting[self.plan.writer(*found)].append(found)
        return own.popleft() if own else None

    def has(self, writer: int) -> bool:
        """Whether there is an example for an LLM now."""
        if (found := self.take(writer)) is not None:
            self.waiting[writer].appendleft(found)
        return found is not None
