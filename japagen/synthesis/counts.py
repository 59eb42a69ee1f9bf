"""Counts of replies by label and reason, with their tokens and what a verifier said of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from japagen.dataset.reply import Reply


class Tally:
    """What was counted of all replies of a dataset.

    `tokens`: prompt and completion. `rejected`: asked label -> reason -> count. Of the clean
    replies that a verifier was asked about, `confusion`: asked label -> its label -> count.
    """

    def __init__(self) -> None:
        self.replies, self.tokens = 0, [0, 0]
        self.rejected: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.confusion: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.confirmed: Counter[str] = Counter()  # asked label -> kept by the filter as asked
        self.kept: Counter[str] = Counter()  # label -> kept by the filter, whatever was asked for
        self.moved: Counter[str] = Counter()  # asked label -> kept under another one
        self.llms: defaultdict[str, Counter[str]] = defaultdict(Counter)  # "": there is one LLM
        self.verifying = [0.0, 0.0, 0.0]  # prompt tokens, completion tokens and seconds

    def count(self, reply: Reply) -> None:
        """Count a reply, its tokens, and what a verifier said of it."""
        self.replies += 1
        self.tokens[0] += reply.tokens[0]
        self.tokens[1] += reply.tokens[1]
        prompt, completion = reply.tokens
        self.llms[reply.llm].update(
            replies=1, accepted=0, prompt_tokens=prompt, completion_tokens=completion
        )
        if (found := reply.verification) is None:
            return
        cost = (*found.tokens, found.seconds)
        self.verifying = [have + new for have, new in zip(self.verifying, cost, strict=True)]
        self.confusion[reply.asked][found.label] += 1
        if not reply.reason:
            self.kept[reply.label] += 1
            same = reply.label == reply.asked
            (self.confirmed if same else self.moved)[reply.asked] += 1

    def lost(self, label: str) -> Counter[str]:
        """Return why replies that were asked for as `label` did not become examples of it."""
        return self.rejected[label] + Counter({"relabelled": self.moved[label]})

    def report(self, labels: Sequence[str], surplus: Mapping[str, int]) -> dict[str, Any]:
        """Return the manifest's counts; `surplus`: unused relabelled replies of each label."""
        rejected = {label: Counter(counts) for label, counts in self.rejected.items()}
        for label, count in surplus.items():
            rejected.setdefault(label, Counter())["surplus"] += count
        by_reason: Counter[str] = sum(rejected.values(), Counter())
        return {
            "replies": self.replies,
            "rejected": {
                label: dict(by_count(rejected[label])) for label in labels if label in rejected
            },
            "rejected_by_reason": dict(by_count(by_reason)),
            "prompt_tokens": self.tokens[0],
            "completion_tokens": self.tokens[1],
            **self.written(),
            **self.verified(labels),
        }

    def written(self) -> dict[str, Any]:
        """Return the manifest's counts of each LLM; empty if there is one."""
        found = {name: dict(counts) for name, counts in sorted(self.llms.items()) if name}
        return {"llms": found} if found else {}

    def verified(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the manifest's figures of the label filter; empty without one."""
        if not self.confusion:
            return {}
        known = [label for label in labels if label in self.confusion]
        totals = {label: sum(self.confusion[label].values()) for label in known}
        prompt, completion, seconds = self.verifying
        return {
            "verified": {x: round(self.confirmed[x] / totals[x], 4) for x in known},
            "confusion": {x: dict(sorted(self.confusion[x].items())) for x in known},
            "verify_tokens": int(prompt + completion),
            "verify_seconds": round(seconds, 2),
        }


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return counts with the most frequent first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts by reason on one line, the most frequent first."""
    return ", ".join(f"{reason} {count}" for reason, count in by_count(counts)) or "none"
