"""What a dataset's journal holds besides replies: measured once, then used by every process."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from japagen.dataset.form import (
    NUMBER,
    NUMBERS,
    PAIR,
    TEXT,
    Form,
    is_count,
    is_counts,
    is_number,
    is_numbers,
    is_texts,
    problem,
)
from japagen.dataset.journal import Journal


def is_reliability(value: Any) -> bool:
    """Whether a value is what reliability.measure() returns, or says that there was no gold."""
    if not isinstance(value, dict) or type(value.get("trusted")) is not bool:
        return False
    rows, recall = value.get("rows"), value.get("recall")
    return rows == 0 or (
        is_count(rows)
        and is_number(value.get("balanced_accuracy"))
        and isinstance(recall, dict)
        and is_numbers(list(recall.values()))
    )


def is_knowledge(value: Any) -> bool:
    """Whether a value is what knowledge.fact() returns."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("digest"), str)
        and is_texts(value.get("values"))
    )


def is_chosen(value: Any) -> bool:
    """Whether a value is what was chosen for a round: a list for each label."""
    return isinstance(value, dict) and all(isinstance(one, list) for one in value.values())


# The forms of the values by name, of those of rounds and blocks by what is before the "/".
FORMS: dict[str, Form] = {
    "measuring_tokens": PAIR,
    "total_seconds": NUMBER,
    "prior": NUMBERS,
    "verification_shots": TEXT,
    "reliability": (is_reliability, "figures of a verifier"),
    "knowledge": (is_knowledge, "an object with digest and values"),
    "taboo": (is_chosen, "an object with a list for each label"),
    "feedback": (is_chosen, "an object with a list for each label"),
    "select": (is_counts, "a list of whole numbers"),
}


class Facts:
    """The values that a journal has under names of their own, e.g. the verifier's reliability."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.known: dict[str, Any] = {}

    def learn(self, entry: Mapping[str, Any]) -> None:
        """Add what a line of the journal says; ValueError if it is no line that record() wrote."""
        if len(entry) != 1:
            raise ValueError(f"it has {', '.join(entry) or 'nothing'}; allowed: a reply has k")
        ((key, value),) = entry.items()
        name = key.partition("/")[0]
        if name in FORMS and (wrong := problem({name: value}, {name: FORMS[name]}, set())):
            raise ValueError(wrong)
        self.known[key] = value

    def report(self) -> dict[str, Any]:
        """Return the values for the manifest: all but those of single rounds."""
        return {key: value for key, value in self.known.items() if "/" not in key}

    async def once(self, key: str, measuring: Coroutine[Any, Any, Any]) -> Any:
        """Return what the journal has under `key`; if it has nothing, measure it and write it."""
        if key in self.known:
            measuring.close()
        else:
            self.record(key, await measuring)
        return self.known[key]

    def record(self, key: str, value: Any) -> None:
        """Write a value to the journal."""
        self.known[key] = value
        self.journal.write({key: value})
