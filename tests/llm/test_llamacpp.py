"""The llama.cpp engine: with a stand-in for llama.cpp, and under `slow` with a small model."""

from __future__ import annotations

import asyncio
import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from japagen import llm
from japagen.command import generate
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import LLM, EvaluateConfig, GenerateConfig
from japagen.dataset import identity, table
from japagen.llm import EngineError, Request, llamacpp, question
from tests.conftest import Compose

MESSAGE = {"role": "user", "content": "書いてください。"}
CHAT_REPLY = {
    "choices": [{"message": {"content": "犬が走る。"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
}
BASE_REPLY = {
    "content": "猫が寝る。",
    "stop_type": "limit",
    "tokens_evaluated": 5,
    "tokens_predicted": 6,
}


class StandIn:
    """xllamacpp.Server without a model; `asked` has the bodies of its requests."""

    def __init__(self, params: Any) -> None:
        self.params = params
        self.asked: list[dict[str, Any]] = []

    def handle_chat_completions(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        return CHAT_REPLY

    def handle_completions(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        return BASE_REPLY


class Params:
    """xllamacpp.CommonParams with the fields that are used."""

    def __init__(self) -> None:
        self.model, self.cpuparams = (
            types.SimpleNamespace(path=""),
            types.SimpleNamespace(n_threads=0),
        )
        self.n_ctx, self.n_parallel, self.kv_unified, self.verbosity = 4096, 1, False, 0


@pytest.fixture
def gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file as the model, and the stand-in as xllamacpp."""
    module = types.ModuleType("xllamacpp")
    module.CommonParams, module.Server = Params, StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "xllamacpp", module)
    path = tmp_path / "model.gguf"
    path.touch()
    return path


def options(model: Path | str, **changes: Any) -> LLM:
    return LLM(
        **{
            "_target_": "japagen.llm.llamacpp.LlamaCpp",
            "name": "test",
            "model": str(model),
            "concurrency": 2,
            **changes,
        }
    )


def ask(engine: llm.Engine, *requests: Request) -> list[llm.Completion]:
    """Send all requests at once, then close the engine."""

    async def all_of_them() -> list[llm.Completion]:
        try:
            return await asyncio.gather(*[engine.complete(request) for request in requests])
        finally:
            await engine.close()

    return asyncio.run(all_of_them())


def test_options_reach_llama_cpp_unchanged(gguf: Path) -> None:
    engine = llamacpp.LlamaCpp(
        options(
            gguf,
            engine={"n_ctx": 512, "cpuparams.n_threads": 1},
            sampling={"top_k": 40, "max_tokens": 9},
        )
    )
    server = engine.server
    assert (server.params.n_ctx, server.params.n_parallel, server.params.cpuparams.n_threads) == (
        1024,
        2,
        1,
    )
    chat, base = ask(
        engine, Request(messages=(MESSAGE,), seed=7), Request(text="むかし", seed=8, stop=("\n",))
    )
    assert (chat.text, chat.finish, chat.prompt_tokens, chat.completion_tokens) == (
        "犬が走る。",
        "stop",
        3,
        4,
    )
    assert (base.text, base.finish, base.prompt_tokens, base.completion_tokens) == (
        "猫が寝る。",
        "length",
        5,
        6,
    )
    asked = {body["seed"]: body for body in server.asked}
    assert (asked[7]["messages"], asked[7]["max_tokens"], asked[7]["top_k"]) == ([MESSAGE], 9, 40)
    assert (asked[8]["prompt"], asked[8]["n_predict"], asked[8]["stop"]) == ("むかし", 9, ["\n"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"engine": {"n_ctxx": 1}},
            r"llm\.engine\.n_ctxx is not a parameter of llama\.cpp; did you mean 'n_ctx'",
        ),
        ({"engine": {"cpu.n_threads": 1}}, r"llm\.engine\.cpu\.n_threads is not a parameter"),
        (
            {"model": "/no/such/file.gguf"},
            "there is no such GGUF file; give its path, or embedded:",
        ),
        ({"model": "embedded:gemma"}, "gemma3_270m"),
    ],
)
def test_a_wrong_option_is_named(gguf: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        llamacpp.LlamaCpp(options(**{"model": gguf, **changes}))


def test_without_llama_cpp_the_command_that_installs_it_is_named(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(UserError, match=r'pip install -e "\.\[embedded\]"'):
        llamacpp.LlamaCpp(options(gguf))


def test_another_error_of_llama_cpp_is_retried() -> None:
    with pytest.raises(EngineError, match="context is full"):
        llamacpp.completion({"error": {"message": "context is full"}})


def test_a_context_that_is_too_small_ends_the_job() -> None:
    message = (
        "request (600 tokens) exceeds the available context size (512 tokens), try increasing it"
    )
    with pytest.raises(UserError, match=r"600 tokens.*raise llm\.engine\.n_ctx"):
        llamacpp.completion({"error": {"message": message, "type": "exceed_context_size_error"}})


def test_the_likeliest_first_tokens_are_requested_and_read(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {
        "top_logprobs": [
            {"token": "1", "logprob": math.log(0.5)},
            {"token": " 1", "logprob": math.log(0.25)},
        ]
    }
    choices: Any = CHAT_REPLY["choices"]
    choice = {**choices[0], "logprobs": {"content": [first]}}
    monkeypatch.setattr(
        StandIn,
        "handle_chat_completions",
        lambda self, body: (self.asked.append(body), {**CHAT_REPLY, "choices": [choice]})[1],
    )
    engine = llamacpp.LlamaCpp(options(gguf))
    server = engine.server
    chat, _ = ask(
        engine,
        Request(messages=(MESSAGE,), choices=("1", "2"), top=7),
        Request(text="むかし", choices=("はい",), top=7),
    )
    assert chat.top == pytest.approx({"1": math.log(0.75)})
    said, base = sorted(server.asked, key=lambda body: "prompt" in body)
    assert (said["logprobs"], said["top_logprobs"], said["max_tokens"]) == (True, 7, 1)
    assert (base["n_probs"], base["n_predict"]) == (7, -1)


def test_the_first_of_several_tokens_of_a_character_is_asked_for(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices: Any = CHAT_REPLY["choices"]

    def handle(self: StandIn, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        likely = "満足" if body["grammar"] == 'root ::= "0"' else "足"
        token = {"token": "?", "top_logprobs": [{"token": likely, "logprob": -0.5}]}
        return {**CHAT_REPLY, "choices": [{**choices[0], "logprobs": {"content": [token]}}]}

    monkeypatch.setattr(StandIn, "handle_chat_completions", handle)
    engine = llamacpp.LlamaCpp(options(gguf))
    server = engine.server
    (found,) = ask(engine, Request(messages=(MESSAGE,), choices=("満足", "不満"), top=7))
    assert found.top == {"満足": pytest.approx(-0.5)}
    assert found.completion_tokens == 2 * 4
    first, second = server.asked
    assert {**first, "grammar": second["grammar"], "max_tokens": 1} == second


@pytest.mark.slow
def test_every_answer_of_the_small_model_has_probabilities(composed: Compose) -> None:
    words = ["task=hotel_reviews", "llm=qwen2_5_coder_1_5b"]
    config = check(composed("evaluate", *words), EvaluateConfig)
    task, engine = config.task, llamacpp.LlamaCpp(config.llm)
    texts = ["部屋が広くて満足でした。", "朝食がまずくて残念でした。"]
    asked = [question.request(task, (text,), (), True, 100, top=question.TOP) for text in texts]
    for reply, label in zip(ask(engine, *asked), task.labels, strict=True):
        shares = question.probabilities(reply.top, task)
        assert sum(shares) == pytest.approx(1)
        assert shares[task.labels.index(label)] > 0.5


@pytest.mark.slow
def test_the_small_model_answers_in_parallel_and_by_seed() -> None:
    """Two sequences in one batch; one at a time, the same seed gives the same text."""
    text = (
        "指示：犬の写真の説明を書いてください。\n回答：犬が公園を走っています。\n\n"
        "指示：猫の写真の説明を書いてください。\n回答："
    )
    made = {
        "sampling": {"max_tokens": 24, "temperature": 0.9},
        "engine": {"n_ctx": 512},
        "chat": False,
    }
    request = Request(text=text, seed=3, stop=("\n",))
    first, second = ask(
        llamacpp.LlamaCpp(options("embedded:gemma3_270m", **made)),
        request,
        Request(text=text, seed=4, stop=("\n",)),
    )
    assert first.text
    assert first.text != second.text
    again = [
        ask(llamacpp.LlamaCpp(options("embedded:gemma3_270m", **made, concurrency=1)), request)[0]
        for _ in range(2)
    ]
    assert again[0] == again[1]
    choice = Request(text=text, seed=3, choices=("1", "2"), temperature=0.0)
    assert ask(llamacpp.LlamaCpp(options("embedded:gemma3_270m", **made)), choice)[0].text in (
        "1",
        "2",
    )


@pytest.mark.slow
def test_the_small_model_makes_a_dataset(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAPAGEN_CACHE")
    rules = [
        "task.clean.min_chars=1",
        "task.clean.max_chars=1000",
        "task.clean.min_japanese=0.1",
        "max_attempts=50",
    ]
    cfg = composed("generate", "task=jcola", "llm=gemma3_270m", "num_per_label=1", *rules)
    generate.run(cfg)
    assert len(list(table.read(identity.of(check(cfg, GenerateConfig))))) == 2


def test_a_template_without_a_system_role_gets_the_text_in_the_user_message(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(self: StandIn, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        if body["messages"][0]["role"] == "system":
            return {"error": {"code": 500, "message": "System role not supported"}}
        return CHAT_REPLY

    monkeypatch.setattr(StandIn, "handle_chat_completions", handle)
    engine = llamacpp.LlamaCpp(options(gguf))
    server = engine.server
    request = Request(messages=({"role": "system", "content": "記者です。"}, MESSAGE))
    assert ask(engine, request)[0].text == "犬が走る。"
    merged = {"role": "user", "content": f"記者です。\n\n{MESSAGE['content']}"}
    assert [body["messages"] for body in server.asked] == [list(request.messages), [merged]]
