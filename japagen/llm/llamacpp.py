"""llama.cpp inside this process, through prebuilt xllamacpp: any GGUF file, and the embedded models."""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import LLM
from japagen.embedded import assemble
from japagen.llm import Completion, EngineError, Request, likeliest


class LlamaCpp:
    """Answers from one loaded GGUF model, `llm.concurrency` requests at a time.

    `llm.engine` sets fields of llama.cpp's CommonParams (n_ctx is per request here), `llm.sampling` goes into each request.
    """

    def __init__(self, llm: LLM) -> None:
        self.sampling = dict(llm.sampling)
        self.server = start(model_file(llm.model), llm)
        self.threads = ThreadPoolExecutor(llm.concurrency, thread_name_prefix="llamacpp")

    async def complete(self, request: Request) -> Completion:
        """Answer `request`; several may be awaited at once."""
        body = {
            "stop": list(request.stop),
            "cache_prompt": True,
            **self.sampling,
            **constraint(request),
            "seed": request.seed,
        }
        loop = asyncio.get_running_loop()
        if request.messages:
            body["messages"] = list(request.messages)
            reply = await loop.run_in_executor(
                self.threads, self.server.handle_chat_completions, body
            )
        else:
            body["prompt"] = request.text
            body["n_predict"] = body.pop("max_tokens", -1)
            reply = await loop.run_in_executor(self.threads, self.server.handle_completions, body)
        return completion(reply)

    async def close(self) -> None:
        """Free the model's memory."""
        self.threads.shutdown(cancel_futures=True)
        self.server = None


def constraint(request: Request) -> dict[str, Any]:
    """What holds llama.cpp to the reply's form: a grammar of the choices, a JSON schema, a temperature."""
    held: dict[str, Any] = {}
    if request.choices and all(len(choice) == 1 and choice.isascii() for choice in request.choices):
        held["max_tokens"] = 1  # the token that ends the reply would take as long as the answer
    if request.top:
        held |= (
            {"logprobs": True, "top_logprobs": request.top}
            if request.messages
            else {"n_probs": request.top}
        )
    if request.choices:
        held["grammar"] = "root ::= " + " | ".join(
            json.dumps(choice, ensure_ascii=False) for choice in request.choices
        )
    if request.schema is not None:
        held["json_schema"] = request.schema
    if request.temperature is not None:
        held["temperature"] = request.temperature
    return held


def completion(reply: Any) -> Completion:
    """A Completion from llama.cpp's answer in either of its two forms."""
    if isinstance(reply, dict) and "exceed_context_size" in str(reply.get("error")):
        raise UserError(
            f"{reply['error'].get('message')}: raise llm.engine.n_ctx, or show the LLM less: fewer shots, shorter texts"
        )
    if not isinstance(reply, dict) or "error" in reply:
        raise EngineError(f"llama.cpp: {reply}")
    if "choices" in reply:
        choice, usage = reply["choices"][0], reply["usage"]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        return Completion(
            text or "",
            choice["finish_reason"],
            usage["prompt_tokens"],
            usage["completion_tokens"],
            likeliest(choice),
        )
    finish = "length" if reply.get("stop_type") == "limit" else "stop"
    return Completion(
        reply["content"], finish, reply["tokens_evaluated"], reply["tokens_predicted"]
    )


def start(path: Path, llm: LLM) -> Any:
    """A running llama.cpp server object (no port is opened) for the GGUF file at `path`."""
    try:
        import xllamacpp
    except ImportError as error:
        raise UserError(
            f'llm={llm.name} runs in llama.cpp, which is not installed: pip install -e ".[embedded]"'
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
    try:
        return xllamacpp.Server(params)
    except Exception as error:
        raise UserError(f"llama.cpp cannot open {path}: {error}") from error


def set_param(params: Any, key: str, value: Any) -> None:
    """Set the (dotted) `key` of CommonParams, or say which keys there are."""
    *path, name = key.split(".")
    for part in path:
        params = getattr(params, part, None)
    if not hasattr(params, name):
        names = [item for item in dir(params) if not item.startswith("_")]
        raise UserError(
            f"llm.engine.{key} is not a parameter of llama.cpp{did_you_mean(name, names)}; allowed: {', '.join(names)}"
        )
    setattr(params, name, value)


def model_file(model: str) -> Path:
    """The GGUF file that `model` names: embedded:NAME or a path."""
    if model.startswith("embedded:"):
        return assemble.llm(model.removeprefix("embedded:"))
    path = Path(model).expanduser()
    if not path.is_file():
        raise UserError(
            f"llm.model={model}: there is no such GGUF file; give its path, or embedded:qwen2_5_coder_1_5b"
        )
    return path
