"""Replies accepted in plan order, in whatever order they arrive: N per label, no duplicates."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

from japagen.dataset.reply import Reply
from japagen.synthesis.counts import Tally
from japagen.synthesis.rounds import Rounds
from japagen.text.duplicate import Seen

WINDOW = 1024  # examples ahead of the first undecided one; far more than are in flight
FIRST_BLOCK = 16  # examples of each label in the first block of a plan with pools


class Acceptor:
    """The state of a synthesis: a function of the journal's replies, not of their order of arrival.

    Only after max_attempts was lowered does the order decide which example a spare reply becomes.

    Example k of the plan asks for the label `labels[k % len(labels)]`. It is decided only when all
    examples before it are. `keep(k, reply)` is called once for each accepted example.

    With `pooled`, a reply may have another label than the one asked for. It then waits in the pool
    of its own label, and the example is drawn again. Pools fill examples that used up their
    attempts, and examples of the next block (blocks double in size) before these are drawn. A block
    is drawn when the one before it is decided, so a pool does not depend on the order of arrival.
    """

    def __init__(
        self,
        labels: Sequence[str],
        num_per_label: int,
        max_attempts: int,
        keep: Callable[[int, Reply], None],
        near_duplicate: float = 0.0,
        pooled: bool = False,
        rounds: Rounds | None = None,
        window: int = WINDOW,
    ) -> None:
        self.labels, self.size = labels, len(labels) * num_per_label
        self.max_attempts, self.keep, self.rounds = max_attempts, keep, rounds or Rounds()
        self.window = window
        self.block = FIRST_BLOCK * len(labels) if pooled else 0  # 0: the plan is one block
        self.next = self.fresh = self.accepted = 0
        self.ready: dict[int, Reply | None] = {}  # None: attempts used up
        self.attempts: dict[int, int] = {}
        self.again: list[int] = []
        self.out: set[int] = set()  # in flight, or in `again`: not handed out by the scan
        self.relabelled: defaultdict[int, list[Reply]] = defaultdict(list)  # of undecided examples
        self.pools: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.claimed: dict[int, Reply] = {}
        self.open: defaultdict[str, deque[int]] = defaultdict(deque)  # examples without a reply
        self.seen = Seen(near_duplicate)
        self.tally = Tally()

    @property
    def done(self) -> bool:
        """Whether every example is accepted, or its attempts are used up."""
        return self.next >= self.size

    @property
    def missing(self) -> dict[str, int]:
        """Examples of each label whose attempts are used up; labels without any are left out."""
        return {label: len(self.open[label]) for label in self.labels if self.open[label]}

    def label(self, k: int) -> str:
        """Return the label that example k asks for."""
        return self.labels[k % len(self.labels)]

    def take(self) -> tuple[int, int] | None:
        """Return the next example to draw and its attempt's number; None if replies are awaited."""
        if self.again:
            k = heapq.heappop(self.again)
            return k, self.attempts[k]
        limits = (self.next + self.window, self.block, self.rounds.end(self.next))
        end = min(self.size, *(limit for limit in limits if limit))
        while self.fresh < end:
            k, self.fresh = self.fresh, self.fresh + 1
            if k >= self.next and not (k in self.ready or k in self.out or k in self.claimed):
                self.out.add(k)
                return k, self.attempts.get(k, 0)
        return None

    def replay(self, reply: Reply) -> None:
        """Add a reply of an earlier process. What must be drawn again is found by take()."""
        self.arrive(reply)
        self.again.clear()
        self.out.clear()
        self.fresh = self.next

    def arrive(self, reply: Reply) -> str:
        """Add a reply and decide every example whose turn has come.

        Returns the reason against the reply: "" if it may be accepted, `relabelled` if its label
        is another than the one asked for.
        """
        self.tally.count(reply)
        self.out.discard(reply.k)
        relabelled = not reply.reason and reply.label != reply.asked
        if reply.k < self.next or self.ready.get(reply.k) is not None:
            return self.spare(reply)
        # A duplicate of an accepted example will still be one at its turn: draw again at once.
        reason = reply.reason or ("" if relabelled else self.seen.reason(reply.texts))
        if relabelled:
            self.relabelled[reply.k].append(reply)
            self.retry(reply)
        elif reason:
            self.reject(reply, reason)
        else:
            self.ready[reply.k] = reply
        self.decide()
        return "relabelled" if relabelled else reason

    def spare(self, reply: Reply) -> str:
        """Use a reply to an example that has one: an earlier job had another max_attempts."""
        k = reply.k
        if reply.reason:
            self.tally.rejected[reply.asked][reply.reason] += 1
        elif k < self.next:
            self.share(reply)
        else:
            self.relabelled[k].append(reply)
        if k >= self.next:
            self.attempts[k] = max(self.attempts.get(k, 0), reply.attempt + 1)
        return reply.reason

    def reject(self, reply: Reply, reason: str) -> None:
        """Count a rejected reply and draw its example again."""
        self.tally.rejected[reply.asked][reason] += 1
        self.retry(reply)

    def retry(self, reply: Reply) -> None:
        """Draw an example again, or note that its attempts are used up."""
        k = reply.k
        self.attempts[k] = max(self.attempts.get(k, 0), reply.attempt + 1)
        if self.attempts[k] >= self.max_attempts:
            self.ready[k] = None
        else:
            self.ready.pop(k, None)
            self.draw(k)

    def draw(self, k: int) -> None:
        """Hand example k out before those that were never drawn."""
        heapq.heappush(self.again, k)
        self.out.add(k)

    def decide(self) -> None:
        """Decide, in plan order, every example that waits for no earlier one."""
        while self.next < self.size:
            k = self.next
            if k in self.claimed:
                reply: Reply | None = self.claimed.pop(k)
                if self.is_duplicate(reply):
                    if k in self.ready:
                        continue
                    self.attempts.setdefault(k, 0)
                    self.draw(k)
                    return
            elif k in self.ready:
                reply = self.ready[k]
                if reply is not None and (reason := self.seen.reason(reply.texts)):
                    self.reject(reply, reason)
                    continue
                del self.ready[k]
                reply = reply or self.from_pool(self.label(k))
            else:
                return
            self.settle(k, reply)

    def settle(self, k: int, reply: Reply | None) -> None:
        """Accept example k, or leave it open; then share out its relabelled replies."""
        self.attempts.pop(k, None)
        self.next += 1
        if reply is None:
            self.open[self.label(k)].append(k)
        else:
            self.accept(k, reply)
        for other in self.relabelled.pop(k, ()):
            self.share(other)
        if (spare := self.ready.pop(k, None)) is not None:  # it was claimed from a pool instead
            self.share(spare)
        if self.next < self.size:
            self.rounds.decided(self.next)
        if self.next == self.block:
            self.next_block()

    def share(self, reply: Reply) -> None:
        """Give a reply to the first open example of its label, or to the label's pool."""
        if not self.open[reply.label]:
            self.pools[reply.label].append(reply)
        elif not self.is_duplicate(reply):
            self.accept(self.open[reply.label].popleft(), reply)

    def accept(self, k: int, reply: Reply) -> None:
        """Make `reply` example k."""
        self.accepted += 1
        self.seen.add(reply.texts)
        self.tally.llms[reply.llm]["accepted"] += 1
        self.rounds.add(self.label(k), reply)
        self.keep(k, reply)

    def next_block(self) -> None:
        """Begin the next block, with as many of its examples from the pools as these can fill."""
        start, self.block = self.block, 2 * self.block
        for k in range(start, self.block):
            if k in self.ready or k in self.attempts:  # drawn when max_attempts was lower
                continue
            if (reply := self.from_pool(self.label(k))) is not None:
                self.claimed[k] = reply
            elif not any(self.pools.values()):
                return

    def from_pool(self, label: str) -> Reply | None:
        """Remove and return the first reply in a label's pool that is no duplicate."""
        pool = self.pools[label]
        while pool:
            reply = pool.popleft()
            if not self.is_duplicate(reply):
                return reply
        return None

    def is_duplicate(self, reply: Reply | None) -> bool:
        """Whether a pooled reply duplicates an accepted example; counts it if so."""
        if reply is None or not (reason := self.seen.reason(reply.texts)):
            return False
        self.tally.rejected[reply.asked][reason] += 1
        return True

    def surplus(self) -> Counter[str]:
        """Return the unused relabelled replies of each asked label."""
        groups = [*self.pools.values(), *self.relabelled.values(), self.claimed.values()]
        return Counter(reply.asked for group in groups for reply in group)

    def report(self) -> dict[str, Any]:
        """Return counts for the manifest."""
        counts = {"accepted": self.accepted, "missing": self.missing}
        return counts | self.tally.report(self.labels, self.surplus())
