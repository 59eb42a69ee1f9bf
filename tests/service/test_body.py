"""Every wrong body gets a status and a readable reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from japagen.service import body, drain
from japagen.service.limit import Refused
from tests.service.asgi import ONE, PAIR, Answer, Client, Fake, serving

LIMITS: dict[str, Any] = {"max_texts": 3, "max_chars": 10, "max_bytes": 100_000}
SECRET = "ひみつ"


def refusal(content: bytes, task: Any = ONE, **limits: Any) -> Answer:
    """The answer to a wrong body; afterwards the service still works."""
    model = Fake()

    async def session(client: Client) -> Answer:
        answer = await client.post(content)
        assert (await client.ask(*[["犬", "猫"] if task is PAIR else "犬"])).status == 200
        return answer

    answer = serving(session, model, task, **{**LIMITS, **limits})
    assert len(model.batches) == 1
    assert list(answer.json) == ["detail"]
    assert SECRET not in answer.json["detail"]
    assert len(answer.json["detail"]) < 250
    return answer


WRONG = [
    (b"", "the body is empty; allowed"),
    (b" \n", "the body is empty"),
    (b"{", "not JSON: line 1, column 2"),
    (SECRET.encode(), "not JSON: line 1, column 1"),
    (b"{'texts': ['a']}", "not JSON"),
    (b"\xff\xfe{", "not UTF-8: see byte 0"),
    ('{"texts": ["犬"]}'.encode("shift_jis"), "not UTF-8: see byte 12"),
    ('{"texts": ["犬"]}'.encode("utf-16"), "not UTF-8"),
    (b"[" * 90_000, "nested too deeply"),
    (b'{"a":' * 15_000, "nested too deeply"),
    (b'{"texts": [NaN]}', "contains NaN"),
    (b'{"texts": [-Infinity]}', "contains -Infinity"),
    (b'{"texts": [' + b"9" * 50_000 + b"]}", "texts[0] is a number"),
    (b'["a"]', 'the body is a list; allowed: an object, {"texts": ["...", ...]}'),
    (b'"a"', "the body is a string"),
    (b"null", "the body is null"),
    (b"true", "the body is true or false"),
    (b"{}", "the field texts is missing"),
    (b'{"text": ["a"]}', "the field texts is missing"),
    (b'{"texts": "a"}', "texts is a string; allowed: a list"),
    (b'{"texts": null}', "texts is null"),
    (b'{"texts": {"a": "b"}}', "texts is an object"),
    (b'{"texts": []}', "texts is empty; allowed: 1 to 3 items"),
    (b'{"texts": ["a", 1]}', "texts[1] is a number; allowed: a string"),
    (b'{"texts": ["a", null]}', "texts[1] is null"),
    (b'{"texts": ["a", ["b"]]}', "texts[1] is a list"),
    (b'{"texts": [{"sentence": "b"}]}', "texts[0] is an object"),
    (b'{"texts": [false]}', "texts[0] is true or false"),
    (b'{"texts": ["a", ""]}', "texts[1] is empty or only spaces"),
    ('{"texts": ["\u3000 \\n"]}'.encode(), "texts[0] is empty or only spaces"),
    (b'{"texts": ["a", "b", "c", "d"]}', "texts has 4 items; allowed: 3"),
    (b'{"texts": ["a", "%b"]}' % (b"x" * 11), "texts[1] has 11 characters; allowed: 10"),
    (b'{"texts": ["a", "b\\ud800c"]}', "texts[1] contains half of a surrogate pair"),
    (b'{"texts": ["\\udc15\\ud83d"]}', "texts[0] contains half of a surrogate pair"),
]


@pytest.mark.parametrize(("content", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_a_wrong_body_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    answer = refusal(content)
    assert answer.status == 400
    assert reason in answer.json["detail"]


WRONG_PAIRS: list[tuple[Any, str]] = [
    ("犬", "texts[1] is a string; allowed: a list of 2 strings, or an object with sentence1, sen"),
    (["犬"], "texts[1] has 1 texts; allowed: 2 (sentence1, sentence2)"),
    ([], "texts[1] has 0 texts"),
    (["犬", "猫", "鳥"], "texts[1] has 3 texts"),
    (["犬", 1], "texts[1][1] is a number; allowed: a string"),
    (["", "猫"], "texts[1][0] is empty"),
    ({}, "texts[1] lacks sentence1, sentence2"),
    ({"sentence1": "犬", "sentense2": "猫"}, "texts[1] lacks sentence2"),
    ({"sentence1": "犬", "sentence2": " "}, "texts[1].sentence2 is empty or only spaces"),
    ({"sentence1": "犬", "sentence2": "猫" * 11}, "texts[1].sentence2 has 11 characters"),
    (None, "texts[1] is null"),
]


@pytest.mark.parametrize(("item", "reason"), WRONG_PAIRS, ids=[r for _, r in WRONG_PAIRS])
def test_a_wrong_pair_is_refused_with_its_reason(item: Any, reason: str) -> None:
    content = json.dumps({"texts": [["犬", "猫"], item]}).encode()
    answer = refusal(content, PAIR)
    assert answer.status == 400
    assert reason in answer.json["detail"]


def test_of_duplicate_keys_the_last_one_is_used() -> None:
    model = Fake()
    answer = serving(lambda client: client.post(b'{"texts": 1, "texts": ["a"]}'), model)
    assert (answer.status, model.batches) == (200, [["a"]])


def test_the_limits_themselves_are_allowed() -> None:
    content = json.dumps({"texts": ["x" * 10] * 3}).encode()
    limits = {**LIMITS, "max_bytes": len(content)}
    assert serving(lambda client: client.post(content), Fake(), **limits).status == 200
    answer = refusal(content + b" ", max_bytes=len(content))
    assert answer.status == 413
    assert answer.json["detail"].startswith(f"the body has more than {len(content)} bytes")


def test_a_large_body_is_not_read_if_its_length_is_known() -> None:
    async def session(client: Client) -> tuple[Answer, int]:
        parts = [b"x" * 1000] * 50
        headers = {"content-length": "50000", "expect": "100-continue"}
        return await client.send("POST", "/predict", parts, headers), client.received

    answer, received = serving(session, Fake(), max_bytes=10_000)
    assert (answer.status, answer.headers["connection"], received) == (413, "close", 0)


@pytest.mark.parametrize("length", [None, "10", "nonsense", "٣"])
def test_a_large_body_without_its_right_length_is_counted(length: str | None) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(50):
            seen.append(number)
            yield b"x" * 1000

    seen: list[int] = []
    with pytest.raises(Refused, match="more than 10000 bytes") as refused:
        asyncio.run(body.received(parts(), length, 10_000))
    assert (refused.value.status, len(seen)) == (413, 11)


def test_the_rest_of_a_refused_body_is_dropped_so_that_the_client_reads_the_answer() -> None:
    async def session(client: Client) -> tuple[int, int]:
        answer = await client.send("POST", "/predict", [b"x" * 1000] * 50, {})
        return answer.status, client.received

    assert serving(session, Fake(), max_bytes=10_000) == (413, 50)
    assert serving(session, Fake(), key="key") == (401, 50)


def test_a_body_without_end_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.05)
    monkeypatch.setattr(drain, "SECONDS", 0.05)

    async def session(client: Client) -> Answer:
        async def wait(*_: Any) -> Any:
            await asyncio.sleep(60)

        whole = client.app

        async def stuck(scope: Any, _: Any, send: Any) -> None:
            await whole(scope, wait, send)

        return await Client(stuck).post(b"x")

    answer = serving(session, Fake())
    assert (answer.status, answer.headers["connection"]) == (408, "close")


def test_a_client_that_leaves_harms_nobody() -> None:
    async def session(client: Client) -> int:
        async def gone() -> Any:
            return {"type": "http.disconnect"}

        whole = client.app

        async def left(scope: Any, _: Any, send: Any) -> None:
            await whole(scope, gone, send)

        assert (await Client(left).post(b"x")).status == 400
        return (await client.ask("犬")).status

    assert serving(session, Fake()) == 200
