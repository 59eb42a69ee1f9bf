"""Engine for vLLM inside this process, with continuous batching and prefix caching."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import inspect
import itertools
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import LLM
from japagen.llm import watchdog
from japagen.llm.chat import SystemRole
from japagen.llm.engine import Completion, EngineError, Request, limit
from japagen.llm.engine_cache import CACHE
from japagen.llm.logprobs import summed

T = TypeVar("T")


class VLLM:
    """Answers from an AsyncLLM, which the next job of this process may use again.

    `llm.engine` goes to AsyncEngineArgs and `llm.sampling` to SamplingParams unchanged, except the
    sampling option `chat_template_kwargs`, which goes to the chat template, as in `vllm serve`.
    """

    def __init__(self, llm: LLM) -> None:
        self.sampling = dict(llm.sampling)
        self.template = dict(self.sampling.pop("chat_template_kwargs", None) or {})
        self.system_role = SystemRole(llm.system_role)
        import_vllm(llm)
        self.params(Request())  # a misspelt option must be found before the model is loaded
        self.running = CACHE.get(
            Running, llm.model, llm.engine, lambda: Running(llm.model, llm.engine)
        )

    async def complete(self, request: Request) -> Completion:
        """Answer `request`; any number may be awaited at once, vLLM batches them."""
        sent, params = self.system_role.adapt(request), self.params(request)
        try:
            return await asyncio.wrap_future(
                self.running.submit(self.running.answer(sent, params, self.template))
            )
        except (EngineError, UserError):
            raise
        except Exception as error:
            if self.system_role.missing(sent, str(error)):
                return await self.complete(request)
            raise self.explained(error) from error

    def explained(self, error: Exception) -> Exception:
        """What an exception of vLLM means."""
        if isinstance(error, ValueError):
            return UserError(
                f"vLLM refuses the request: {error}\n"
                "Fix llm.sampling, or raise llm.engine.max_model_len."
            )
        if self.running.alive():
            return EngineError(f"vLLM: {type(error).__name__}: {error}")
        return UserError(
            "vLLM stopped; its log above says why. All replies so far are kept. Fix the cause and "
            "type the same command."
        )

    async def close(self) -> None:
        """Do nothing: the engine stays for the next job. The cache closes it."""

    def params(self, request: Request) -> Any:
        """SamplingParams of `request` and llm.sampling."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        options: dict[str, Any] = {
            "seed": request.seed,
            **limit(request, self.sampling),
            **self.sampling,
            "output_kind": RequestOutputKind.FINAL_ONLY,
        }
        stop = options.get("stop") or []
        options["stop"] = [*request.stop, *([stop] if isinstance(stop, str) else stop)]
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.top:
            options["logprobs"] = request.top
        if request.choices or request.schema is not None:
            options["structured_outputs"] = (
                {"choice": list(request.choices)} if request.choices else {"json": request.schema}
            )
        try:
            if isinstance(options.get("structured_outputs"), Mapping):
                options["structured_outputs"] = StructuredOutputsParams(
                    **options["structured_outputs"]
                )
            return SamplingParams(**options)
        except (TypeError, ValueError) as error:
            raise UserError(
                f"llm.sampling is not what vLLM's SamplingParams takes: {error}"
            ) from error


class Running:
    """An AsyncLLM and its event loop in a thread, because each job has another event loop."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        self.loop = asyncio.new_event_loop()
        self.numbers = itertools.count()
        self.engine: Any = None
        self.thread = threading.Thread(target=self.loop.run_forever, name="vllm", daemon=True)
        self.thread.start()
        self.watchdog: subprocess.Popen[bytes] | None = None
        try:
            self.engine, self.tokenizer = self.submit(load(model, options)).result()
            if hasattr(os, "pidfd_open"):
                # vLLM's processes do not end when this one is killed.
                self.watchdog = watchdog.start(
                    ["--pids", *(str(child.pid) for child in multiprocessing.active_children())]
                )
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception) or isinstance(error, UserError):
                raise
            raise UserError(f"vLLM cannot load llm.model={model}: {error}") from error

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run `work` in the engine's loop; cancelling the future drops the request in vLLM."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def answer(
        self, request: Request, params: Any, template: Mapping[str, Any]
    ) -> Completion:
        """The whole reply to one request."""
        prompt: Any = {"prompt": request.text}
        if request.messages:
            # As token numbers, because the template has written the special tokens already.
            ids = self.tokenizer.apply_chat_template(
                list(request.messages),
                tokenize=True,
                add_generation_prompt=True,
                return_dict=False,
                **template,
            )
            prompt = {"prompt_token_ids": list(ids)}
        outputs = [
            output
            async for output in self.engine.generate(
                prompt, params, f"japagen-{next(self.numbers)}"
            )
        ]
        if not outputs or not outputs[-1].outputs:
            raise EngineError("vLLM ended the request without a reply")
        reply = outputs[-1].outputs[0]
        first = (
            [(token.decoded_token or "", token.logprob) for token in reply.logprobs[0].values()]
            if reply.logprobs
            else []
        )
        counts = len(outputs[-1].prompt_token_ids or ()), len(reply.token_ids)
        return Completion(reply.text, str(reply.finish_reason), *counts, summed(first))

    def alive(self) -> bool:
        """Whether the engine can still answer."""
        return self.engine is not None and not self.engine.errored

    def close(self) -> None:
        """Stop the engine, its processes and its loop."""
        engine, self.engine = self.engine, None
        if engine is not None:
            self.submit(shut_down(engine)).result()
        if self.watchdog is not None:
            self.watchdog.kill()
            self.watchdog.communicate()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        if not self.thread.is_alive():
            self.loop.close()


async def shut_down(engine: Any) -> None:
    """Stop `engine` inside its event loop.

    Outside of it, a task of vLLM would take the end for a failure and log a traceback.
    """
    engine.shutdown()


async def load(model: str, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """An AsyncLLM of `model` in the running loop, and its tokenizer."""
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    names = [item.name for item in dataclasses.fields(AsyncEngineArgs)]
    for key in options:
        if key not in names:
            raise UserError(
                f"llm.engine.{key} is not an option of vLLM's AsyncEngineArgs"
                f"{did_you_mean(key, names)}"
            )
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(
            # Code from a model's folder runs only if the user's options say so.
            model=model,
            **{"enable_prefix_caching": True, "trust_remote_code": False, **options},
        )
    )
    tokenizer: Any = engine.get_tokenizer()
    return engine, await tokenizer if inspect.isawaitable(tokenizer) else tokenizer


def import_vllm(llm: LLM) -> None:
    """Import vLLM, or say how to install it."""
    # vLLM reads it at import: no usage statistics about our users' jobs.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"llm={llm.name} runs in vLLM, which cannot be imported ({error}): "
            'pip install -e ".[vllm]" (Linux, a GPU). Without a GPU: an embedded model, such as '
            "llm=qwen2_5_coder_1_5b, or llm=server with the address of a machine that has one."
        ) from error
