"""Problems of a task: labels, inputs and texts that do not fit each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from japagen.config.error import did_you_mean, is_number
from japagen.config.name import column_problems, label_problems
from japagen.config.task import Task
from japagen.metric import METRICS


def task_problems(task: Task, from_file: bool = False) -> Iterator[str]:
    """What is wrong with a task; `from_file`: its wording comes from a published prompt file."""
    where = f"task {task.name}"
    yield from kind_problems(task)
    if not 1 <= len(task.inputs) <= 2:
        yield (
            f"{where}: inputs has {len(task.inputs)} names; allowed: one sentence or a pair of "
            "sentences"
        )
    if len(set(task.labels)) < max(2, len(task.labels)):
        yield f"{where}: labels must be two or more different names, got {task.labels}"
    names = [*column_problems(where, task.inputs), *label_problems(where, task.labels)]
    yield from names
    if task.clean.min_chars > task.clean.max_chars:
        yield (
            f"{where}: clean.min_chars is {task.clean.min_chars}, more than clean.max_chars, "
            f"which is {task.clean.max_chars}: no text could be accepted"
        )
    if names:
        return  # texts that are missing only because of such a name would hide the cause
    yield from question_problems(task)
    yield from wording_problems(task, {"label", "slot"} if from_file else {"label"})
    if not from_file:
        yield from knowledge_problems(task)


def kind_problems(task: Task) -> Iterator[str]:
    """`kind`, `metric` and labels must fit each other."""
    where = f"task {task.name}"
    if task.kind not in ("classification", "regression"):
        yield f"{where}: kind is '{task.kind}'; allowed: classification, regression"
    if task.metric not in METRICS:
        yield (
            f"{where}: metric is '{task.metric}'; allowed: {', '.join(METRICS)}"
            f"{did_you_mean(task.metric, METRICS)}"
        )
    elif task.kind in ("classification", "regression") and METRICS[task.metric].kind != task.kind:
        allowed = ", ".join(name for name, metric in METRICS.items() if metric.kind == task.kind)
        yield f"{where}: metric {task.metric} is not for {task.kind}; allowed: {allowed}"
    if task.kind == "regression":
        yield from (
            f"{where}: label '{y}' is not a finite number, which kind: regression needs"
            for y in task.labels
            if not is_number(y)
        )


def wording_problems(task: Task, known: set[str]) -> Iterator[str]:
    """Every label and every input needs a text, and the prompt must contain the label's text."""
    where = f"task {task.name}: wording"
    yield from text_problems(f"{where}.labels", task.wording.labels, task.labels)
    yield from unknown_problems(f"{where}.labels", task.wording.labels, task.labels, "labels")
    for name in task.inputs:
        if not task.wording.turns.get(name, "").strip():
            yield f"{where}.turns has no instruction for input '{name}': add `{name}: ...`"
    yield from turn_problems(f"{where}.turns", task.wording.turns, task, known)
    if task.knowledge is not None:
        theirs = f"task {task.name}: knowledge.turns"
        yield from turn_problems(theirs, task.knowledge.turns, task, known)
        yield from (
            f"{theirs}.{name} is empty: write the instruction or drop the line"
            for name, text in task.knowledge.turns.items()
            if not text.strip()
        )


def turn_problems(
    where: str, turns: Mapping[str, str], task: Task, known: set[str]
) -> Iterator[str]:
    """Instructions are for known inputs, use known names in braces, and the last has {label}."""
    yield from unknown_problems(where, turns, task.inputs, "inputs")
    for name, text in turns.items():
        yield from (
            f"{where}.{name}: {{{word}}} is not known; allowed: {{label}}"
            for word in sorted(placeholders(text) - known)
        )
    last = turns.get(task.inputs[-1], "") if task.inputs else ""
    if last and "label" not in placeholders(last):
        yield (
            f"{where}.{task.inputs[-1]} does not contain {{label}}, so the prompt would not "
            "contain the label: add {label}"
        )


def text_problems(where: str, texts: Mapping[str, str], labels: Sequence[str]) -> Iterator[str]:
    """Labels without a text."""
    for label in labels:
        if not texts.get(label, "").strip():
            yield f"{where} has no text for label '{label}': add `{label}: ...`"


def unknown_problems(
    where: str, keys: Iterable[str], known: Sequence[str], name: str
) -> Iterator[str]:
    """Keys that are not among `known`, the task's `name`."""
    for key in keys:
        if key not in known:
            yield f"{where} has '{key}', which is not in {name}{did_you_mean(key, known)}"


def knowledge_problems(task: Task) -> Iterator[str]:
    """Slot values need a sentence with {slot}; other label texts need known labels."""
    if task.knowledge is None:
        return
    where, knowledge = f"task {task.name}: knowledge", task.knowledge
    yield from unknown_problems(f"{where}.labels", knowledge.labels, task.labels, "labels")
    own = knowledge.label_values
    yield from unknown_problems(f"{where}.label_values", own, task.labels, "labels")
    if own and len(task.inputs) > 1:
        yield (
            f"{where}.label_values is for tasks with one sentence: sentence 1 of a pair is written "
            "without a label. Use values"
        )
    yield from (
        f"{where}.label_values has no value for '{label}': add some or drop the line"
        for label, values in own.items()
        if not values
    )
    if own and not knowledge.values and (missing := [y for y in task.labels if y not in own]):
        yield (
            f"{where}.label_values has no values for {', '.join(missing)}: add them, or `values` "
            "for all labels without their own"
        )
    if (knowledge.values or own) and "slot" not in placeholders(knowledge.sentence):
        yield f"{where}.sentence must contain {{slot}}, which each of values replaces"
    if not (knowledge.values or own or knowledge.labels or knowledge.turns):
        yield f"{where} has no values, labels or turns: add one of them or drop knowledge"


def question_problems(task: Task) -> Iterator[str]:
    """A question offers every label and no other."""
    if task.question is None:
        return
    where, question = f"task {task.name}: question", task.question
    yield from text_problems(f"{where}.labels", question.labels, task.labels)
    answers = [question.answers.get(label, "").strip() for label in task.labels]
    if question.answers and (not all(answers) or len(set(answers)) < len(answers)):
        yield (
            f"{where}.answers must have a different word for each label, or be left out; "
            f"got {question.answers}"
        )
    yield from unknown_problems(f"{where}.labels", question.labels, task.labels, "labels")


def placeholders(template: str) -> set[str]:
    """Names in braces in `template`, e.g. {"label"}; other braces are ordinary text."""
    return set(re.findall(r"\{(\w+)\}", template))
