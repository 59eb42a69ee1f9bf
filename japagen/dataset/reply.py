"""One reply of the LLM: the record from the attempt to the journal, acceptance and table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Tokens = tuple[int, int]  # prompt, completion


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verifier answered about one example.

    `label`: the label it gives, "" if its answer names none. `probabilities`: of each label, in the
    order of task.labels; empty if unknown. `seconds` and `tokens`: the cost of the question.
    """

    label: str
    probabilities: tuple[float, ...] = ()
    tokens: Tokens = (0, 0)
    seconds: float = 0.0
    answer: str = ""

    def entry(self) -> dict[str, Any]:
        """Return the verification as JSON values."""
        values: dict[str, Any] = {"label": self.label, "tokens": self.tokens}
        values |= {"seconds": self.seconds, "probabilities": self.probabilities}
        return values | ({"answer": self.answer} if self.answer else {})


@dataclass(frozen=True, slots=True)
class Reply:
    """One attempt at example `k` of the plan.

    `asked`: the label that the LLM was asked for. `label`: the label of the texts, which differs
    from `asked` if a label filter relabelled them. `reason`: why the reply is rejected, "" if it is
    not. `raw`: the LLM's own words, turn by turn. `tokens` include those of the verification.
    `llm`: with llm=mixed, the name of the LLM that wrote it.
    """

    k: int
    attempt: int
    asked: str
    label: str
    texts: tuple[str, ...]
    reason: str = ""
    tokens: Tokens = (0, 0)
    raw: tuple[str, ...] = ()
    verification: Verification | None = None
    llm: str = ""

    def entry(self) -> dict[str, Any]:
        """Return the journal's line. Values that can be derived from the others are left out."""
        entry: dict[str, Any] = {"k": self.k, "attempt": self.attempt, "asked": self.asked}
        if self.label != self.asked:
            entry["label"] = self.label
        entry |= {"reason": self.reason, "texts": self.texts, "tokens": self.tokens}
        if self.raw != self.texts:
            entry["raw"] = self.raw
        if self.verification is not None:
            entry["verification"] = self.verification.entry()
        if self.llm:
            entry["llm"] = self.llm
        return entry

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Reply:
        """Return the reply that a journal's line describes."""
        texts = tuple(entry["texts"])
        found = entry.get("verification")
        return cls(
            k=entry["k"],
            attempt=entry["attempt"],
            asked=entry["asked"],
            label=entry.get("label", entry["asked"]),
            texts=texts,
            reason=entry["reason"],
            tokens=tuple(entry["tokens"]),
            raw=tuple(entry.get("raw", texts)),
            verification=verification_of(found) if found is not None else None,
            llm=entry.get("llm", ""),
        )


def verification_of(entry: Mapping[str, Any]) -> Verification:
    """Return the verification that a journal's line describes."""
    return Verification(
        label=entry["label"],
        probabilities=tuple(entry["probabilities"]),
        tokens=tuple(entry["tokens"]),
        seconds=entry["seconds"],
        answer=entry.get("answer", ""),
    )
