"""A row of the task as a question to the LLM, and its answer as a label; pure."""

from __future__ import annotations

import math
import random
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from japagen.config.task import Question, Task
from japagen.gold.example import Example, nearest
from japagen.llm import Request
from japagen.text.normal import normalise

TOP = 20  # first tokens whose probability is asked for; servers give no more
ANSWER = "答え："
NEGLIGIBLE = 1e-6  # probability that is left for other tokens at least, as values are rounded
CONTENT_FREE = ("", "該当なし", "［文章］")  # inputs without content, for calibration
NO_PRIOR = (
    "question.calibrate has no effect: the engine gives no token probabilities, or the first token "
    "of an answer begins several labels"
)

Texts = Sequence[str]


def wording(task: Task) -> Question:
    """Return the task's question.

    A task without one asks for the instruction that its texts were written by.
    """
    if task.question is not None:
        return task.question
    asked = (
        "文2は、文1に続けて次のどの指示に従って書かれたものですか。"
        if len(task.inputs) > 1
        else "この文章は、次のどの指示に従って書かれたものですか。"
    )
    return Question(asked=asked, labels=dict(task.wording.labels))


def words(task: Task) -> dict[str, str]:
    """Return the word that stands for each label; empty if labels are answered by number."""
    return task.question.answers if task.question is not None else {}


def choices(task: Task) -> dict[str, str]:
    """Return the possible answers with their labels: a word, a level, or a number from 1."""
    if found := words(task):
        return {found[label]: label for label in task.labels}
    return {
        label if task.kind == "regression" else str(number): label
        for number, label in enumerate(task.labels, 1)
    }


def instruction(task: Task) -> str:
    """Return the part that is the same for every row; it comes first, for the prefix cache."""
    asked, known = wording(task), choices(task)
    only = f"「{'」「'.join(known)}」のどれか一つ" if words(task) else "数字"
    return "\n".join(
        [
            f"{asked.asked}{only}だけで答えてください。",
            *(f"{key}：{asked.labels[label]}" for key, label in known.items()),
        ]
    )


def shown(texts: Texts, max_chars: int) -> str:
    """Return the texts of a row, each cut to `max_chars`."""
    names = [f"文{number}" for number in range(1, len(texts) + 1)] if len(texts) > 1 else ["文"]
    return "\n".join(
        f"{name}：{text.strip()[:max_chars]}" for name, text in zip(names, texts, strict=True)
    )


def request(
    task: Task,
    texts: Texts,
    shots: Sequence[tuple[Texts, str]],
    chat: bool,
    max_chars: int,
    seed: int = 0,
    top: int | None = None,
) -> Request:
    """Return the question about `texts`, after `shots` with their labels.

    It is made of messages or, without `chat`, a text whose next word is the answer. `top`: number
    of first tokens whose probability is asked for; by default none for classification.
    """
    keys = {label: key for key, label in choices(task).items()}
    asked, turns = wording(task), [(shown(row, max_chars), keys[label]) for row, label in shots]
    if top is None:
        top = TOP if task.kind == "regression" else 0
    form: dict[str, Any] = {"seed": seed, "choices": tuple(keys.values()), "temperature": 0.0}
    form["top"] = top
    last = shown(texts, max_chars)
    if not chat:
        parts = [
            f"{instruction(task)}\n",
            *(f"{row}\n{ANSWER}{key}\n" for row, key in turns),
            f"{last}\n{ANSWER}",
        ]
        return Request(text="\n".join(parts), stop=("\n",), **form)
    messages = [{"role": "system", "content": f"{asked.system}\n{instruction(task)}"}]
    for row, key in turns:
        messages += [{"role": "user", "content": row}, {"role": "assistant", "content": key}]
    return Request(messages=(*messages, {"role": "user", "content": last}), **form)


def read(reply: str, task: Task) -> str | None:
    """Return the label, or the score for regression, that a reply names; None if not just one."""
    text = unicodedata.normalize("NFKC", normalise(reply).text).strip()
    known = choices(task)
    if words(task):
        found = {key for key in known if unicodedata.normalize("NFKC", key) in text}
        # 「独身女性」 names one label, though 「女性」 is in it.
        whole = [key for key in found if not any(key in other for other in found - {key})]
        return known[whole[0]] if len(whole) == 1 else None
    # "文1" names a sentence, and "1. ..." an answer.
    numbers = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"文\s*\d", "", text))
    answers = (
        set(numbers[:1])
        if re.match(r"-?\d", text)
        else {number for number in numbers if number in known}
    )
    if len(answers) != 1:
        return None
    (answer,) = answers
    return known.get(answer) or score(answer, task)


def score(answer: str, task: Task) -> str | None:
    """Return a number between the levels of a regression task; None for any other."""
    levels = [float(label) for label in task.labels] if task.kind == "regression" else []
    return answer if levels and min(levels) <= float(answer) <= max(levels) else None


def expected(top: Mapping[str, float], task: Task) -> float | None:
    """Return the mean level, weighted by the probability of the levels' tokens.

    None if the tokens do not distinguish the levels.
    """
    shares = {float(label): math.exp(top[label]) for label in task.labels if label in top}
    if not shares or any(len(label) > 1 for label in task.labels):
        return None
    return sum(level * share for level, share in shares.items()) / sum(shares.values())


def probabilities(
    top: Mapping[str, float], task: Task, least: float | None = None
) -> tuple[float, ...]:
    """Return the probability of each of task.labels from the first token's log-probabilities.

    A token counts for the one answer that it begins, and an answer without a token counts as much
    as `least`, by default absent(top). Empty if no token begins an answer, or if the first token
    hardly tells the answers apart: "1" begins 1 and 10.
    """
    answers = {label: key.encode() for key, label in choices(task).items()}
    shares, shared = dict.fromkeys(task.labels, 0.0), 0.0
    for token, value in top.items():
        begun = token.encode("utf-8", "surrogateescape")
        meant = [label for label, answer in answers.items() if begun and answer.startswith(begun)]
        if len(meant) == 1:
            shares[meant[0]] += math.exp(value)
        elif meant:
            shared += math.exp(value)
    if sum(shares.values()) <= shared:  # also if both are 0
        return ()
    floor = math.exp(absent(top) if least is None else least)
    kept = [share or floor for share in shares.values()]
    return tuple(share / sum(kept) for share in kept)


def absent(top: Mapping[str, float]) -> float:
    """Return the log-probability that tokens which are not in `top` have at most.

    They are no likelier than the least likely one of `top`, and share what `top` leaves.
    """
    rest = 1 - sum(map(math.exp, top.values()))
    return min(*top.values(), math.log(max(rest, NEGLIGIBLE)))


def begins_one(token: str, answers: Iterable[str]) -> bool:
    """Whether a token, possibly a part of a character, begins one of the answers."""
    begun = token.encode("utf-8", "surrogateescape")
    return any(answer.encode().startswith(begun) for answer in answers)


def calibrated(shares: Sequence[float], prior: Sequence[float]) -> tuple[float, ...]:
    """Return `shares` divided by `prior`, with a sum of 1.

    Zhao et al. 2021, "Calibrate Before Use", section 4, with a diagonal matrix and no bias.
    """
    divided = [share / max(base, 1e-6) for share, base in zip(shares, prior, strict=True)]
    return tuple(share / sum(divided) for share in divided)


def demonstrations(drawn: Mapping[str, Sequence[Example]], seed: int) -> list[tuple[Texts, str]]:
    """Return gold rows with their labels, shuffled: rows sorted by label would teach an order."""
    pairs: list[tuple[Texts, str]] = [
        (row.texts, name) for name, rows in drawn.items() for row in rows
    ]
    random.Random(seed).shuffle(pairs)
    return pairs


def content_free(task: Task) -> list[list[str]]:
    """Return inputs that say nothing about the label."""
    return [[text] * len(task.inputs) for text in CONTENT_FREE]


def label(reply: str, shares: Sequence[float], task: Task) -> str:
    """Return the most probable label, or the one that the reply names; "" if it names none.

    For regression: the label nearest to the expected level, or to the score in the reply.
    """
    if task.kind == "regression":
        levels = [float(name) for name in task.labels]
        mean = sum(level * share for level, share in zip(levels, shares, strict=False))
        score = str(mean) if shares else read(reply, task)
        return "" if score is None else nearest(score, task)
    if shares:
        return task.labels[max(range(len(shares)), key=lambda place: shares[place])]
    return read(reply, task) or ""
