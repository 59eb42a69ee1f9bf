"""One reply of the LLM: the record from the attempt to the journal, acceptance and table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from japagen.config.task import Task
from japagen.dataset.form import COUNT, NUMBER, NUMBERS, PAIR, TEXT, TEXTS, Form, problem

Tokens = tuple[int, int]  # prompt, completion

# The forms of the values of a journal's line, and of its verification.
FORMS: dict[str, Form] = {
    "k": COUNT,
    "attempt": COUNT,
    "asked": TEXT,
    "label": TEXT,
    "reason": TEXT,
    "texts": TEXTS,
    "tokens": PAIR,
    "raw": TEXTS,
    "llm": TEXT,
}
OPTIONAL = {"label", "raw", "llm"}
VERIFICATION_FORMS: dict[str, Form] = {
    "label": TEXT,
    "probabilities": NUMBERS,
    "tokens": PAIR,
    "seconds": NUMBER,
    "answer": TEXT,
}


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
        """Return the reply that a journal's line describes.

        Raises ValueError that names the first value that no reply has.
        """
        get: Any = entry.get
        texts, tokens, asked, reason = get("texts"), get("tokens"), get("asked"), get("reason")
        raw, label, llm = get("raw", texts), get("label", asked), get("llm", "")
        k, attempt, found = get("k"), get("attempt"), get("verification")
        try:
            # All forms at once, because a journal may have millions of lines: only texts can be
            # joined.
            "".join((asked, label, reason, llm, *texts, *raw))
            prompt, completion = tokens
            is_right = type(texts) is type(raw) is type(tokens) is list
            is_right &= type(k) is type(attempt) is type(prompt) is type(completion) is int
            is_right = is_right and k >= 0 <= attempt and prompt >= 0 <= completion
        except (TypeError, ValueError):
            is_right = False
        if not is_right:
            raise ValueError(problem(entry, FORMS, OPTIONAL))
        return cls(
            k=k,
            attempt=attempt,
            asked=asked,
            label=label,
            texts=tuple(texts),
            reason=reason,
            tokens=(prompt, completion),
            raw=tuple(raw),
            verification=verification_of(found) if found is not None else None,
            llm=llm,
        )

    def check(self, task: Task) -> None:
        """Raise ValueError if no reply of a dataset of `task` is like this."""
        labels = task.labels
        if self.asked != labels[self.k % len(labels)]:
            right = labels[self.k % len(labels)]
            raise ValueError(f"'asked' is '{self.asked}'; allowed for k {self.k}: '{right}'")
        if self.label not in labels:
            raise ValueError(f"'label' is '{self.label}'; allowed: {', '.join(labels)}")
        if not self.reason and len(self.texts) != len(task.inputs):
            raise ValueError(f"it has {len(self.texts)} texts; allowed: {len(task.inputs)}")
        if self.verification is not None and len(self.verification.probabilities) not in (
            0,
            len(labels),
        ):
            number = len(self.verification.probabilities)
            raise ValueError(f"it has {number} probabilities; allowed: none or {len(labels)}")


def verification_of(entry: Any) -> Verification:
    """Return the verification that a journal's line describes; ValueError for another value."""
    if not isinstance(entry, dict):
        raise ValueError(f"'verification' is {str(entry)[:60]}; allowed: an object")
    if wrong := problem(entry, VERIFICATION_FORMS, {"answer"}):
        raise ValueError(f"verification: {wrong}")
    return Verification(
        label=entry["label"],
        probabilities=tuple(entry["probabilities"]),
        tokens=tuple(entry["tokens"]),
        seconds=entry["seconds"],
        answer=entry.get("answer", ""),
    )
