"""Engine for llama.cpp inside this process (xllamacpp): GGUF files and the embedded models."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import LLM
from japagen.embedded import assemble
from japagen.llm import reply
from japagen.llm.chat import SystemRole
from japagen.llm.engine import Completion, EngineError, Request, limit

log = logging.getLogger(__name__)

FIRST = {"grammar": 'root ::= "0"', "max_tokens": 1}


class LlamaCpp:
    """Answers from one loaded GGUF model, `llm.concurrency` requests at a time.

    `llm.engine` sets fields of llama.cpp's CommonParams (here n_ctx is the context of one request);
    `llm.sampling` goes into each request.
    """

    def __init__(self, llm: LLM) -> None:
        self.sampling = dict(llm.sampling)
        self.system_role = SystemRole(llm.system_role)
        self.server = start(model_file(llm.model), llm)
        self.threads = ThreadPoolExecutor(llm.concurrency, thread_name_prefix="llamacpp")

    async def complete(self, request: Request) -> Completion:
        """Answer `request`; several may be awaited at once."""
        sent = self.system_role.adapt(request)
        body = {
            "stop": list(sent.stop),
            "cache_prompt": True,
            **self.sampling,
            **limit(sent, self.sampling),
            **constraint(sent),
            "seed": sent.seed,
        }
        if sent.messages:
            body["messages"], handle = list(sent.messages), self.server.handle_chat_completions
        else:
            body["prompt"], handle = sent.text, self.server.handle_completions
            body["n_predict"] = body.pop("max_tokens", -1)
        run = asyncio.get_running_loop().run_in_executor
        answer = await run(self.threads, handle, body)
        if failed(answer) and self.system_role.missing(sent, str(answer)):
            return await self.complete(request)
        found = completion(answer)
        if "logprobs" not in body or "grammar" not in body or body.get("max_tokens") == 1:
            return found
        # A Japanese character may be two tokens, and llama.cpp reports the second one alone. The
        # probabilities of the first are those beside another token, which is forced.
        forced = completion(await run(self.threads, handle, {**body, **FIRST}))
        tokens = found.completion_tokens + forced.completion_tokens
        return replace(found, top=forced.top, completion_tokens=tokens)

    async def close(self) -> None:
        """Free the model's memory."""
        self.threads.shutdown(cancel_futures=True)
        self.server = None


def constraint(request: Request) -> dict[str, Any]:
    """The request's fields that restrict the reply: choices as a grammar, schema, temperature."""
    fields: dict[str, Any] = {}
    if request.choices and all(len(choice) == 1 and choice.isascii() for choice in request.choices):
        fields["max_tokens"] = 1  # the token that ends the reply would take as long as the answer
    if request.top and request.messages:
        fields |= {"logprobs": True, "top_logprobs": request.top}
    elif request.top:
        fields["n_probs"] = request.top
    if request.choices:
        words = [json.dumps(choice, ensure_ascii=False) for choice in request.choices]
        fields["grammar"] = "root ::= " + " | ".join(words)
    if request.schema is not None:
        fields["json_schema"] = request.schema
    if request.temperature is not None:
        fields["temperature"] = request.temperature
    return fields


def failed(answer: Any) -> bool:
    """Whether llama.cpp's answer is an error."""
    return not isinstance(answer, dict) or "error" in answer


def completion(answer: Any) -> Completion:
    """A Completion from llama.cpp's answer in either of its two forms."""
    if failed(answer):
        error = answer.get("error") if isinstance(answer, dict) else answer
        if isinstance(error, dict) and "exceed_context_size" in str(error):
            raise UserError(
                f"{error.get('message')}: raise llm.engine.n_ctx, or show the LLM less (fewer "
                "shots, shorter texts)"
            )
        raise EngineError(f"llama.cpp: {answer}")
    if "choices" in answer:
        return reply.from_json(answer)
    finish = "length" if answer.get("stop_type") == "limit" else "stop"
    return Completion(
        answer["content"], finish, answer["tokens_evaluated"], answer["tokens_predicted"]
    )


def start(path: Path, llm: LLM) -> Any:
    """A running llama.cpp server object for the GGUF file at `path`; it opens no port."""
    try:
        import xllamacpp
    except ImportError as error:
        raise UserError(
            f"llm={llm.name} runs in llama.cpp, which is not installed: "
            'pip install -e ".[embedded]"'
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.verbosity = -1
    params.cpuparams.n_threads = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    params.n_parallel = llm.concurrency
    params.kv_unified = True
    for key, value in llm.engine.items():
        set_param(params, key, value)
    params.n_ctx *= llm.concurrency
    log.info("loading %s (%.1f GB)", path.stem, path.stat().st_size / 1e9)
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        raise UserError(f"llama.cpp cannot open {path}: {error}") from error


def set_param(params: Any, key: str, value: Any) -> None:
    """Set the (dotted) `key` of CommonParams; UserError with the allowed names if it has none."""
    *path, name = key.split(".")
    for part in path:
        params = getattr(params, part, None)
    if not hasattr(params, name):
        names = [item for item in dir(params) if not item.startswith("_")]
        raise UserError(
            f"llm.engine.{key} is not a parameter of llama.cpp{did_you_mean(name, names)}; "
            f"allowed: {', '.join(names)}"
        )
    setattr(params, name, value)


def model_file(model: str) -> Path:
    """The GGUF file that `model` names: embedded:NAME or a path."""
    if model.startswith("embedded:"):
        return assemble.llm(model.removeprefix("embedded:"))
    path = Path(model).expanduser()
    if not path.is_file():
        raise UserError(
            f"llm.model={model}: there is no such GGUF file; give its path, or "
            "embedded:qwen2_5_coder_1_5b"
        )
    return path
