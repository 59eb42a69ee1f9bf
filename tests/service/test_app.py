"""What is served: predictions, /health, the page, and the key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from japagen import __version__
from japagen.config.task import Task
from japagen.student.predictor import Predictor
from tests.service.asgi import LEVELS, ONE, PAIR, Answer, Client, Fake, serving
from tests.student.test_labeller import saved

SENTENCES = ["犬が走る。", "とても長い文がここにある。" * 3, "海\u0000と\u0007山", "🐕" * 40, "猫"]
KEY = "秘密-s3cret"
BODY = b'{"texts": ["a"]}'


@pytest.mark.slow
@pytest.mark.parametrize("task", [ONE, LEVELS])
def test_the_answers_are_those_of_the_predictor(tmp_path: Path, task: Task) -> None:
    predictor = Predictor(saved(tmp_path / "s", task), "torch")
    answer = serving(lambda client: client.ask(*SENTENCES), predictor.predict, task)
    assert answer.status == 200
    assert (answer.json["task"], answer.json["student"]) == (task.name, "name")
    assert len(answer.json["predictions"]) == len(SENTENCES)
    for found, text in zip(answer.json["predictions"], SENTENCES, strict=True):
        (alone,) = predictor.predict([(text,)])
        assert set(found) == set(alone)
        if task is ONE:
            assert found["predicted"] == alone["predicted"]
            assert found["probability"] == pytest.approx(alone["probability"], abs=1e-4)
        else:
            assert found["predicted"] == pytest.approx(alone["predicted"], abs=1e-4)


def test_a_pair_is_a_list_or_an_object(tmp_path: Path) -> None:
    predictor = Predictor(saved(tmp_path / "s", PAIR), "torch")
    listed = ["犬が走る。", "猫がとても静かに眠っている。"]
    named = {"sentence2": listed[1], "id": 7, "sentence1": listed[0]}

    async def session(client: Client) -> list[Any]:
        # One by one: padding would change the last digits.
        answers = [await client.ask(item) for item in (listed, named, listed[::-1])]
        return [answer.json["predictions"] for answer in answers]

    found = serving(session, predictor.predict, PAIR)
    assert found[0] == found[1] == predictor.predict([listed])
    assert found[2] == predictor.predict([listed[::-1]]) != found[0]


def test_texts_arrive_unchanged() -> None:
    model, texts = Fake(), ["\ud83d\udc15", "a\u0000\u0007b", " 両端に空白 ", "\ufeff\u200b字"]
    body = json.dumps({"texts": texts}).encode()
    serving(lambda client: client.post(b"\xef\xbb\xbf" + body), model)
    assert model.batches == [["🐕", *texts[1:]]]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_any_content_type_is_read_as_json(kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = serving(lambda client: client.ask("犬", **headers), Fake())
    assert answer.json["predictions"] == [{"predicted": "1", "probability": 0.5}]


def test_health_says_what_is_served() -> None:
    answer = serving(lambda client: client.get("/health"), Fake())
    names = {"task": "one", "labels": ["good", "bad"], "student": "name", "backend": "torch"}
    assert (answer.status, answer.json) == (200, {"status": "ok", **names, "version": __version__})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/predict", 405), ("PUT", "/predict", 405), ("POST", "/health", 405)]
    + [("GET", path, 404) for path in ("/", "/predict/", "/redoc", "/" + "x" * 999)],
)
def test_another_path_or_method_is_refused(method: str, path: str, status: int) -> None:
    answer = serving(lambda client: client.send(method, path, [], {}), Fake())
    assert answer.status == status
    assert list(answer.json) == ["detail"]
    assert "POST /predict" in answer.json["detail"]
    assert len(answer.json["detail"]) < 200


@pytest.mark.parametrize("task", [ONE, PAIR, LEVELS])
def test_the_schema_describes_requests_and_answers(task: Task) -> None:
    async def session(client: Client) -> tuple[Any, str]:
        found = (await client.get("/openapi.json")).json
        return found, (await client.get("/docs")).json

    schema, page = serving(session, Fake(), task, max_texts=7, max_chars=9)
    assert "/openapi.json" in page
    operation = schema["paths"]["/predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    texts = content["schema"]["properties"]["texts"]
    assert (texts["maxItems"], content["schema"]["required"]) == (7, ["texts"])
    item = texts["items"]
    if task is PAIR:
        listed, named = item["oneOf"]
        assert listed["minItems"] == listed["maxItems"] == 2
        assert list(named["properties"]) == named["required"] == task.inputs
        item = listed["items"]
    assert (item["type"], item["maxLength"]) == ("string", 9)
    assert {"200", "400", "401", "413", "500", "503"} <= set(operation["responses"])
    answer = operation["responses"]["200"]["content"]["application/json"]
    fields = answer["schema"]["properties"]["predictions"]["items"]["properties"]
    assert fields["predicted"] == (
        {"type": "number"} if task is LEVELS else {"type": "string", "enum": task.labels}
    )
    assert ("probability" in fields) == (task is not LEVELS)


@pytest.mark.parametrize("task", [ONE, PAIR])
def test_the_example_of_the_schema_is_japanese_and_works(task: Task) -> None:
    async def session(client: Client) -> Answer:
        schema = (await client.get("/openapi.json")).json
        content = schema["paths"]["/predict"]["post"]["requestBody"]["content"]
        return await client.ask(*content["application/json"]["example"]["texts"])

    model = Fake()
    assert serving(session, model, task).status == 200
    assert "部屋" in model.batches[0][0]


@pytest.mark.parametrize(
    "given",
    ["", KEY, "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}"],
)
def test_without_the_right_key_nothing_is_answered(given: str) -> None:
    headers = {"authorization": given} if given else {}
    model, paths = Fake(), ["/predict", "/docs", "/openapi.json", "/nothing", "/health/"]

    async def session(client: Client) -> list[Answer]:
        return [await client.send("POST", path, [BODY], headers) for path in paths]

    for answer in serving(session, model, key=KEY):
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer KEY" in answer.json["detail"]
        assert KEY not in json.dumps(answer.json, ensure_ascii=False)
    assert model.batches == []


def test_with_the_key_everything_is_answered_and_health_without_it() -> None:
    async def session(client: Client) -> list[Answer]:
        right = {"authorization": f"bearer {KEY}"}
        found = [await client.ask("犬", **right), await client.get("/openapi.json", **right)]
        return [*found, await client.get("/health")]

    answers = serving(session, Fake(), key=KEY)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert KEY not in json.dumps([answer.json for answer in answers], ensure_ascii=False)
    operation = answers[1].json["paths"]["/predict"]["post"]
    assert operation["security"] == [{"HTTPBearer": []}]


def test_without_a_key_none_is_needed() -> None:
    assert serving(lambda client: client.ask("犬"), Fake()).status == 200


@pytest.mark.slow
def test_the_event_loop_is_free_while_the_model_runs() -> None:
    async def session(client: Client) -> int:
        asking = asyncio.create_task(client.ask("犬"))
        checks = 0
        while not asking.done():
            assert (await client.get("/health")).status == 200
            checks += 1
            await asyncio.sleep(0.01)
        return checks

    assert serving(session, Fake(seconds=0.5)) > 5
