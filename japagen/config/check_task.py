"""What may be wrong with the YAML of a task."""

from __future__ import annotations

import re
from collections.abc import Iterator

from japagen.config.error import did_you_mean, is_number
from japagen.config.task import Task

# Metric -> the kind of task it scores.
METRICS = {
    "accuracy": "classification",
    "macro_f1": "classification",
    "mcc": "classification",
    "pearson": "regression",
    "spearman": "regression",
}


def task_problems(task: Task, from_file: bool = False) -> Iterator[str]:
    """What is wrong with a task's YAML."""
    where = f"task {task.name}"
    if task.kind not in ("classification", "regression"):
        yield f"{where}: kind is '{task.kind}'; allowed: classification, regression"
    if task.metric not in METRICS:
        yield f"{where}: metric is '{task.metric}'; allowed: {', '.join(METRICS)}{did_you_mean(task.metric, METRICS)}"
    elif task.kind in ("classification", "regression") and METRICS[task.metric] != task.kind:
        allowed = ", ".join(name for name, kind in METRICS.items() if kind == task.kind)
        yield f"{where}: metric {task.metric} is not for {task.kind}; allowed: {allowed}"
    if not 1 <= len(task.inputs) <= 2:
        yield f"{where}: inputs has {len(task.inputs)} names; one sentence or a pair of sentences is allowed"
    if len(set(task.labels)) < max(2, len(task.labels)):
        yield f"{where}: labels must be two or more different names, got {task.labels}"
    if task.kind == "regression":
        yield from (
            f"{where}: label '{y}' is not a number, which kind: regression needs"
            for y in task.labels
            if not is_number(y)
        )
    yield from question_problems(task)
    yield from wording_problems(task, {"label", "slot"} if from_file else {"label"})
    if not from_file:
        yield from knowledge_problems(task)


def wording_problems(task: Task, known: set[str]) -> Iterator[str]:
    """Every label and every input needs its text, and the label must reach the LLM."""
    where = f"task {task.name}: wording"
    for label in task.labels:
        if not task.wording.labels.get(label, "").strip():
            yield f"{where}.labels has no text for label '{label}': add `{label}: ...`"
    for label in set(task.wording.labels) - set(task.labels):
        yield f"{where}.labels has '{label}', which is not in labels{did_you_mean(label, task.labels)}"
    for name in task.inputs:
        if not task.wording.turns.get(name, "").strip():
            yield f"{where}.turns has no instruction for input '{name}': add `{name}: ...`"
    for name, text in task.wording.turns.items():
        if name not in task.inputs:
            yield f"{where}.turns has '{name}', which is not in inputs{did_you_mean(name, task.inputs)}"
        yield from (
            f"{where}.turns.{name}: {{{word}}} is not known; allowed: {{label}}"
            for word in placeholders(text) - known
        )
    last = task.wording.turns.get(task.inputs[-1], "") if task.inputs else ""
    if last and "label" not in placeholders(last):
        yield f"{where}.turns.{task.inputs[-1]} does not contain {{label}}, so the LLM would not be told the label"


def knowledge_problems(task: Task) -> Iterator[str]:
    """A slot needs values and a sentence that tells them; other label texts need known labels."""
    if task.knowledge is None:
        return
    where, knowledge = f"task {task.name}: knowledge", task.knowledge
    for label in set(knowledge.labels) - set(task.labels):
        yield f"{where}.labels has '{label}', which is not in labels{did_you_mean(label, task.labels)}"
    if knowledge.values and "slot" not in placeholders(knowledge.sentence):
        yield f"{where}.sentence must contain {{slot}}, where each of values is told"
    if not knowledge.values and not knowledge.labels:
        yield f"{where} has neither values nor labels: give one of them or drop it"


def question_problems(task: Task) -> Iterator[str]:
    """A question offers every label and no other."""
    if task.question is None:
        return
    where = f"task {task.name}: question"
    for label in task.labels:
        if not task.question.labels.get(label, "").strip():
            yield f"{where}.labels has no text for label '{label}': add `{label}: ...`"
    answers = [task.question.answers.get(label, "").strip() for label in task.labels]
    if task.question.answers and (not all(answers) or len(set(answers)) < len(answers)):
        yield f"{where}.answers must have a word of its own for each label, or be left out, got {task.question.answers}"
    for label in set(task.question.labels) - set(task.labels):
        yield f"{where}.labels has '{label}', which is not in labels{did_you_mean(label, task.labels)}"


def placeholders(template: str) -> set[str]:
    """Names in braces in `template`, e.g. {"label"}; other braces are the text's own."""
    return set(re.findall(r"\{(\w+)\}", template))
