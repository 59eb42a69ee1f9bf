"""Options of questions to an LLM."""

from __future__ import annotations

from dataclasses import dataclass

# Raise it when a change to the question, or to the reading of its answers, gives other labels or
# probabilities: old answers are then never mixed with new ones.
FORMAT = 3


@dataclass
class QuestionOptions:
    """How an LLM is asked for a label, by a label filter and by evaluate.py subject=prompting.

    `calibrate`: divide its answer by that to texts without content (Zhao et al. 2021, "Calibrate
    Before Use"), because small LLMs prefer one label.
    """

    calibrate: bool = False
