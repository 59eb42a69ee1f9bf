"""Options of the filter group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from japagen.config.choice import FILTER_METHODS
from japagen.config.error import did_you_mean
from japagen.config.limit import limited


@dataclass
class Filter:
    """Which clean replies are kept, and under which label.

    `method`: `none` (all, as asked for), `verified` (those whose label a verifier confirms),
    `relabelled` (under the label that the verifier gives), `soft` (the same, and soft.jsonl has its
    probabilities for loss=soft) or `auto` (verified if the verifier is reliable on gold rows).
    The verifier is the LLM itself or `student`, a folder that train.py saved. `min_probability` of
    the label it gives; `tolerance` in levels for regression; `shots` gold rows of each label shown
    to the LLM; `dev_rows` gold rows of each label to measure the verifier on. If, after
    `check_after` texts, a smaller share than `min_confirmed` of a label is confirmed, the job
    stops.
    """

    name: str = "none"
    method: str = "none"
    min_probability: float = limited(0.0, least=0, most=1)
    tolerance: int = limited(0, least=0)
    student: str | None = None
    shots: int = limited(0, least=0)
    dev_rows: int = limited(0, least=0)
    min_confirmed: float = limited(0.05, least=0, most=1)
    check_after: int = limited(30, least=0)

    def problems(self, mixed: bool = False) -> Iterator[str]:
        """An unknown method, or options that do not fit it; `mixed`: several LLMs write."""
        if self.method not in FILTER_METHODS:
            yield (
                f"filter.method is '{self.method}'; allowed: {', '.join(FILTER_METHODS)}"
                f"{did_you_mean(self.method, FILTER_METHODS)}"
            )
        if self.student is not None and self.method == "none":
            yield "filter.student needs a filter that asks it: add filter=verified"
        if mixed and self.method != "none" and self.student is None:
            yield (
                "llm=mixed has no single LLM that could verify labels; allowed: filter=none, or a "
                "student: add filter.student=FOLDER"
            )
        if self.method == "auto" and not self.dev_rows:
            yield "filter=auto needs gold rows to choose by: add filter.dev_rows=30"
