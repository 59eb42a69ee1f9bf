"""What the page /docs says about a request and its answer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from japagen.config.task import Task
from japagen.service.limit import Limits

EXAMPLES = ["部屋が清潔で、朝食もおいしかったです。", "駅から近くて便利なホテルでした。"]

REASONS = {
    400: "The body is wrong; `detail` names the item and what is allowed.",
    401: "The API key is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    500: "The model failed.",
    503: "Too many texts wait, or the service ends. Try again after `Retry-After` seconds.",
}


def example(inputs: Sequence[str]) -> dict[str, Any]:
    """Return a body with one Japanese item."""
    texts = list(itertools.islice(itertools.cycle(EXAMPLES), len(inputs)))
    return {"texts": [texts if len(inputs) > 1 else texts[0]]}


def request(inputs: Sequence[str], limits: Limits) -> dict[str, Any]:
    """Return the requestBody of POST /predict."""
    text = {"type": "string", "minLength": 1, "maxLength": limits.max_chars}
    item: dict[str, Any] = text
    if len(inputs) > 1:
        count = len(inputs)
        listed = {"type": "array", "items": text, "minItems": count, "maxItems": count}
        names = {"properties": dict.fromkeys(inputs, text), "required": list(inputs)}
        item = {"oneOf": [listed, {"type": "object", **names}]}
    texts = {"type": "array", "items": item, "minItems": 1, "maxItems": limits.max_texts}
    schema = {"type": "object", "properties": {"texts": texts}, "required": ["texts"]}
    content = {"application/json": {"schema": schema, "example": example(inputs)}}
    return {"required": True, "content": content}


def responses(task: Task, student: str) -> dict[int | str, dict[str, Any]]:
    """Return the answers of POST /predict by status."""
    answer: dict[str, Any] = {"predicted": {"type": "string", "enum": list(task.labels)}}
    shown: dict[str, Any] = {"predicted": task.labels[0], "probability": 0.98}
    if task.kind == "regression":
        answer, shown = {"predicted": {"type": "number"}}, {"predicted": 3.2}
    else:
        answer["probability"] = {"type": "number", "minimum": 0, "maximum": 1}
    item = {"type": "object", "properties": answer, "required": list(answer)}
    fields = {
        "predictions": {"type": "array", "items": item},
        "task": {"type": "string"},
        "student": {"type": "string"},
    }
    body = {"predictions": [shown], "task": task.name, "student": student}
    return {200: one("In the order of the request.", fields, body), **failures()}


def failures() -> dict[int | str, dict[str, Any]]:
    """Return the answers without predictions by status."""
    return {
        status: one(reason, {"detail": {"type": "string"}}) for status, reason in REASONS.items()
    }


def health(about: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return the answer of GET /health."""
    fields: dict[str, Any] = {name: {"type": "string"} for name in about}
    fields["labels"] = {"type": "array", "items": {"type": "string"}}
    return {200: one("The model answers.", fields, about)}


def one(description: str, fields: dict[str, Any], shown: Any = None) -> dict[str, Any]:
    """Return an answer: an object with `fields`, all of them required."""
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    content: dict[str, Any] = {"schema": schema}
    if shown is not None:
        content["example"] = shown
    return {"description": description, "content": {"application/json": content}}
