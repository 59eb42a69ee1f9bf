"""The body of a request: received up to a limit, and read as examples.

Messages name the item and what is allowed. They never repeat what the client sent.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from japagen.service.limit import Limits, Refused

SECONDS = 20  # for a body to arrive; less than the service waits at its end
SURROGATE = re.compile("[\ud800-\udfff]")
KINDS = {str: "a string", list: "a list", dict: "an object", bool: "true or false"}


async def received(parts: AsyncIterator[bytes], length: str | None, limit: int) -> bytes:
    """Return the body; Refused as soon as it is longer than `limit` bytes.

    `length`: the header Content-Length. A client that sends chunks gives none.
    """
    if length and length.isdecimal() and int(length[:20]) > limit:
        raise too_large(limit)
    try:
        return await asyncio.wait_for(joined(parts, limit), SECONDS)
    except asyncio.TimeoutError:
        detail = f"the body did not arrive within {SECONDS} s"
        raise Refused(408, detail, {"Connection": "close"}) from None


async def joined(parts: AsyncIterator[bytes], limit: int) -> bytes:
    """Return the parts as one; Refused when they exceed `limit` bytes."""
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def too_large(limit: int) -> Refused:
    """Return the answer to a body that is too large."""
    detail = f"the body has more than {limit} bytes. Send fewer or shorter texts in one request"
    return Refused(413, detail, {"Connection": "close"})


def examples(body: bytes, inputs: Sequence[str], limits: Limits) -> list[tuple[str, ...]]:
    """Return the texts of each item in the order of `inputs`; Refused with a reason if wrong."""
    found = parsed(body, sample(inputs))
    if not isinstance(found, dict):
        raise Refused(400, f"the body is {kind(found)}; allowed: an object, {sample(inputs)}")
    if "texts" not in found:
        raise Refused(400, f"the field texts is missing; allowed: {sample(inputs)}")
    items = found["texts"]
    if not isinstance(items, list):
        raise Refused(400, f"texts is {kind(items)}; allowed: a list, {sample(inputs)}")
    if not items:
        raise Refused(400, f"texts is empty; allowed: 1 to {limits.max_texts} items")
    if len(items) > limits.max_texts:
        raise Refused(400, f"texts has {len(items)} items; allowed: {limits.max_texts}")
    return [
        tuple(checked(text, name, limits.max_chars) for name, text in named(item, number, inputs))
        for number, item in enumerate(items)
    ]


def parsed(body: bytes, example: str) -> Any:
    """Return the JSON value of a body."""
    if not body.strip():
        raise Refused(400, f"the body is empty; allowed: {example}")
    try:
        # Integers as floats: Python reads an integer of a million digits slowly or not at all.
        return json.loads(body.decode("utf-8-sig"), parse_constant=constant, parse_int=float)
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: see byte {error.start}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise Refused(400, f"the body is not JSON: {place}; allowed: {example}") from None
    except RecursionError:
        raise Refused(400, f"the body is nested too deeply; allowed: {example}") from None


def constant(name: str) -> Any:
    """Refuse NaN and the infinities, which json.loads reads but JSON lacks."""
    raise Refused(400, f"the body is not JSON: it contains {name}")


def sample(inputs: Sequence[str]) -> str:
    """Return a body in short, for messages."""
    names = ", ".join(f'"{name}"' for name in inputs)
    return f'{{"texts": [[{names}], ...]}}' if len(inputs) > 1 else '{"texts": ["...", ...]}'


def named(item: Any, number: int, inputs: Sequence[str]) -> list[tuple[str, Any]]:
    """Return (its name in messages, text) for each text of an item."""
    place = f"texts[{number}]"
    if len(inputs) == 1:
        return [(place, item)]
    names = ", ".join(inputs)
    if isinstance(item, dict):
        if missing := [name for name in inputs if name not in item]:
            raise Refused(400, f"{place} lacks {', '.join(missing)}; allowed: {names}")
        return [(f"{place}.{name}", item[name]) for name in inputs]
    if not isinstance(item, list):
        allowed = f"a list of {len(inputs)} strings, or an object with {names}"
        raise Refused(400, f"{place} is {kind(item)}; allowed: {allowed}")
    if len(item) != len(inputs):
        allowed = f"{len(inputs)} ({names})"
        raise Refused(400, f"{place} has {len(item)} texts; allowed: {allowed}")
    return [(f"{place}[{which}]", text) for which, text in enumerate(item)]


def checked(text: Any, name: str, longest: int) -> str:
    """Return a text that the tokenizer can read."""
    if not isinstance(text, str):
        raise Refused(400, f"{name} is {kind(text)}; allowed: a string")
    if len(text) > longest:
        raise Refused(400, f"{name} has {len(text)} characters; allowed: {longest}")
    if not text.strip():
        raise Refused(400, f"{name} is empty or only spaces; allowed: 1 to {longest} characters")
    if SURROGATE.search(text):
        detail = "contains half of a surrogate pair (\\ud800 to \\udfff alone); allowed: Unicode"
        raise Refused(400, f"{name} {detail}")
    return text


def kind(value: Any) -> str:
    """Return what a JSON value is."""
    return "null" if value is None else KINDS.get(type(value), "a number")
