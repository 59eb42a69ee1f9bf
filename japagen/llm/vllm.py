"""vLLM inside this process: continuous batching and prefix caching, for any model that vLLM runs."""

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
from japagen.llm import Completion, EngineError, Request, guard, summed
from japagen.llm.reuse import KEPT

T = TypeVar("T")


class VLLM:
    """Answers from an AsyncLLM that stays for the next job of this process if that asks for the same.

    `llm.engine` goes to AsyncEngineArgs and `llm.sampling` to SamplingParams as they are, but for the sampling option
    `chat_template_kwargs`, which goes to the model's chat template; both as in `vllm serve`.
    """

    def __init__(self, llm: LLM) -> None:
        self.sampling = dict(llm.sampling)
        self.template = dict(self.sampling.pop("chat_template_kwargs", None) or {})
        import_vllm(llm)
        self.params(Request())  # a misspelt option is found before the model is loaded
        self.running = KEPT.get(
            Running, llm.model, llm.engine, lambda: Running(llm.model, llm.engine)
        )

    async def complete(self, request: Request) -> Completion:
        """Answer `request`; any number may be awaited at once, vLLM batches them."""
        params = self.params(request)
        try:
            return await asyncio.wrap_future(
                self.running.submit(self.running.answer(request, params, self.template))
            )
        except (EngineError, UserError):
            raise
        except ValueError as error:
            raise UserError(
                f"vLLM refuses the request: {error}\nMend llm.sampling, or raise llm.engine.max_model_len."
            ) from error
        except Exception as error:
            if self.running.alive():
                raise EngineError(f"vLLM: {type(error).__name__}: {error}") from error
            raise UserError(
                "vLLM stopped; its log above says why. All replies so far are kept: type the same command to go on."
            ) from error

    async def close(self) -> None:
        """The engine stays for the next job; it is closed when one asks for another, and at exit."""

    def params(self, request: Request) -> Any:
        """SamplingParams with what `request` asks for beside its text."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        options: dict[str, Any] = {
            "seed": request.seed,
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
    """An AsyncLLM and the event loop it lives in: a thread of its own, because each job has another loop."""

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        self.loop = asyncio.new_event_loop()
        self.numbers = itertools.count()
        self.engine: Any = None
        self.thread = threading.Thread(target=self.loop.run_forever, name="vllm", daemon=True)
        self.thread.start()
        self.guard: subprocess.Popen[bytes] | None = None
        try:
            self.engine, self.tokenizer = self.submit(load(model, options)).result()
            if hasattr(os, "pidfd_open"):
                # vLLM's processes do not notice when this one is killed.
                self.guard = guard.start(
                    ["--pids", *(str(child.pid) for child in multiprocessing.active_children())]
                )
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception) or isinstance(error, UserError):
                raise
            raise UserError(f"vLLM cannot load llm.model={model}: {error}") from error

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run `work` in the engine's loop; cancelling the future cancels it there, and vLLM drops the request."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def answer(
        self, request: Request, params: Any, template: Mapping[str, Any]
    ) -> Completion:
        """The whole reply to one request."""
        prompt: Any = {"prompt": request.text}
        if request.messages:
            # The template writes the special tokens itself.
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
        if self.guard is not None:
            self.guard.kill()
            self.guard.communicate()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        if not self.thread.is_alive():
            self.loop.close()


async def shut_down(engine: Any) -> None:
    """Stop `engine` while its loop does nothing else; its own task would take the end for a failure and log a traceback."""
    engine.shutdown()


async def load(model: str, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """An AsyncLLM of `model` in the running loop, and its tokenizer."""
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    names = [item.name for item in dataclasses.fields(AsyncEngineArgs)]
    for key in options:
        if key not in names:
            raise UserError(
                f"llm.engine.{key} is not an option of vLLM's AsyncEngineArgs{did_you_mean(key, names)}"
            )
    engine = AsyncLLM.from_engine_args(
        AsyncEngineArgs(model=model, **{"enable_prefix_caching": True, **options})
    )
    tokenizer: Any = engine.get_tokenizer()
    return engine, await tokenizer if inspect.isawaitable(tokenizer) else tokenizer


def import_vllm(llm: LLM) -> None:
    """Import vLLM, or say how to install it."""
    os.environ.setdefault(
        "VLLM_NO_USAGE_STATS", "1"
    )  # read by vLLM; our users' jobs are not for its makers to count
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise UserError(
            f'llm={llm.name} runs in vLLM, which cannot be imported ({error}): pip install -e ".[vllm]" (Linux, a GPU). '
            "Without one: the embedded models, or llm=server with the address of a machine that has one."
        ) from error
