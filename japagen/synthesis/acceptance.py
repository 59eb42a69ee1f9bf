"""Replies accepted in plan order, whatever order they arrive in: exactly N per label, no example twice."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from japagen.text.duplicate import Seen

# Replies that may wait for one before them; far more than any engine has in flight, so that none idles.
WINDOW = 1024


class Acceptor:
    """The state of a synthesis, a function of the journal's entries alone.

    An example is decided only when all before it are, so which of two equal examples stays does not depend on arrival.
    `keep(k, texts)` is called once for each accepted example, in plan order; then `soften(k, probabilities)` where a judge gave some.
    """

    def __init__(
        self,
        size: int,
        label: Callable[[int], str],
        max_attempts: int,
        keep: Callable[[int, Sequence[str]], None],
        near: float = 0.0,
    ) -> None:
        self.size, self.label, self.max_attempts, self.keep = size, label, max_attempts, keep
        self.next = self.fresh = self.accepted = self.replies = 0
        self.ready: dict[int, tuple[int, tuple[str, ...]] | None] = {}  # None: given up
        self.attempts: dict[int, int] = {}
        self.again: list[int] = []
        self.out: set[int] = set()  # in flight, or in `again`: not to be handed out by the scan
        self.seen = Seen(near)
        self.rejected: dict[str, Counter[str]] = {}
        self.missing: Counter[str] = Counter()
        self.tokens = [0, 0]
        self.soften: Callable[[int, Sequence[float]], None] = lambda k, probabilities: None
        self.soft: dict[int, Sequence[float]] = {}
        self.clean: Counter[str] = Counter()
        self.judging = [
            0.0,
            0.0,
            0.0,
        ]  # prompt tokens, completion tokens and seconds of the filter's questions

    @property
    def done(self) -> bool:
        """Whether every example is accepted or given up."""
        return self.next >= self.size

    def take(self) -> tuple[int, int] | None:
        """The next example to draw and its attempt's number; None while only replies in flight can help."""
        if self.again:
            k = heapq.heappop(self.again)
            return k, self.attempts[k]
        while self.fresh < min(self.size, self.next + WINDOW):
            k, self.fresh = self.fresh, self.fresh + 1
            if k >= self.next and k not in self.ready and k not in self.out:
                self.out.add(k)
                return k, self.attempts.get(k, 0)
        return None

    def replay(self, entry: Mapping[str, Any]) -> None:
        """Take in an entry of an earlier process; what it asks to be drawn again is found by take()."""
        self.arrive(entry)
        self.again.clear()
        self.out.clear()
        self.fresh = self.next

    def arrive(self, entry: Mapping[str, Any]) -> str:
        """Take in a reply, then decide every example whose turn has come; the reason against the reply, or ""."""
        k, attempt, texts = entry["k"], entry["attempt"], tuple(entry["texts"])
        self.replies += 1
        prompt, completion = entry["tokens"]
        self.tokens[0] += prompt
        self.tokens[1] += completion
        self.out.discard(k)
        if "judged" in entry:
            self.take_verdict(entry)
        # A duplicate of an accepted example is one at its turn too: it is drawn again without waiting for its turn.
        reason: str = entry["reason"] or self.seen.reason(texts)
        if reason:
            self.reject(k, attempt, reason)
        else:
            self.ready[k] = (attempt, texts)
        self.decide()
        return reason

    def take_verdict(self, entry: Mapping[str, Any]) -> None:
        """Count what a judge said of a reply, and remember its probabilities until the example's turn comes."""
        self.judging = [have + new for have, new in zip(self.judging, entry["judged"], strict=True)]
        if not entry["reason"]:
            self.clean[self.label(entry["k"])] += 1
            if "soft" in entry:
                self.soft[entry["k"]] = entry["soft"]

    def reject(self, k: int, attempt: int, reason: str) -> None:
        """Count a rejected reply and ask for another, or give the example up."""
        self.rejected.setdefault(self.label(k), Counter())[reason] += 1
        self.attempts[k] = attempt + 1
        if attempt + 1 >= self.max_attempts:
            self.ready[k] = None
        else:
            self.ready.pop(k, None)
            heapq.heappush(self.again, k)
            self.out.add(k)

    def decide(self) -> None:
        """Accept or give up, in plan order, all examples that wait for no earlier one."""
        while self.next < self.size and self.next in self.ready:
            k, waiting = self.next, self.ready[self.next]
            if waiting is not None and (reason := self.seen.reason(waiting[1])):
                self.reject(k, waiting[0], reason)
                continue
            del self.ready[k]
            self.attempts.pop(k, None)
            self.next += 1
            if waiting is None:
                self.missing[self.label(k)] += 1
            else:
                self.accepted += 1
                self.seen.add(waiting[1])
                self.keep(k, waiting[1])
            if k in self.soft:
                soft = self.soft.pop(k)
                if waiting is not None:
                    self.soften(k, soft)

    def verified(self) -> dict[str, Any]:
        """For the manifest: the share of each label's clean replies to which the judge gave that label, and what asking took."""
        against = {
            label: sum(counts[reason] for reason in ("disagreed", "no_verdict"))
            for label, counts in self.rejected.items()
        }
        asked = {
            label: self.clean[label] + against.get(label, 0) for label in (*self.clean, *against)
        }
        if not any(self.judging):
            return {}
        rates = {
            label: round(self.clean[label] / count, 4) for label, count in asked.items() if count
        }
        prompt, completion, seconds = self.judging
        return {
            "verified": rates,
            "verify_tokens": int(prompt + completion),
            "verify_seconds": round(seconds, 2),
        }

    def report(self) -> dict[str, Any]:
        """Counts for the manifest."""
        by_reason: Counter[str] = sum(self.rejected.values(), Counter())
        return {
            "accepted": self.accepted,
            "missing": dict(self.missing),
            "replies": self.replies,
            "rejected": {label: dict(counts) for label, counts in self.rejected.items()},
            "rejected_by_reason": dict(by_reason.most_common()),
            "prompt_tokens": self.tokens[0],
            "completion_tokens": self.tokens[1],
            **self.verified(),
        }


def counts_text(counts: Mapping[str, int]) -> str:
    """Counts by reason on one line, the most frequent first."""
    return (
        ", ".join(
            f"{reason} {count}"
            for reason, count in sorted(counts.items(), key=lambda item: -item[1])
        )
        or "none"
    )
