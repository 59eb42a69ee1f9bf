"""Any OpenAI-compatible server over HTTP: a hosted one, a cluster's, or a `vllm serve` started for the job."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import LLM
from japagen.llm import Completion, EngineError, Request
from japagen.llm.reply import completion, hidden, message, retry_after

if TYPE_CHECKING:
    import aiohttp

AGAIN = {408, 409, 425, 429}  # and 5xx: the same request may succeed later
RATE_PAUSE = 5.0  # seconds after a 429 that does not say how long
DOWN_PAUSE = 5.0  # seconds between tries when a server that has answered before cannot be reached
JSON = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each request
OPTIONS = ("timeout", "headers")  # of llm.engine, for the client


class Server:
    """Sends `llm.concurrency` requests at a time to `llm.base_url`; with `llm.serve`, to a `vllm serve` of its own.

    `llm.sampling` goes into each request as it is; a null there leaves a field out, `seed` and `stop` too.
    `llm.engine`: timeout (seconds for one reply) and headers; with `llm.serve` the rest are flags of `vllm serve`.
    """

    def __init__(self, llm: LLM) -> None:
        self.llm, self.http = llm, import_aiohttp(llm)
        options = dict(llm.engine)
        self.timeout, self.headers = (
            float(options.pop("timeout", 300.0)),
            dict(options.pop("headers", None) or {}),
        )
        self.serving = None
        if llm.serve:
            from japagen.llm.serve import serving

            self.serving = serving(llm.model, options)
            self.base_url, self.key = f"{self.serving.root}/v1", self.serving.key
        else:
            self.base_url, self.key = address(llm, options), api_key(llm)
        self.url = (
            f"{self.base_url}/chat/completions" if llm.chat else f"{self.base_url}/completions"
        )
        self.answered = False
        self.resume = 0.0  # on the monotonic clock: until then the server wants to be left alone
        self.session: aiohttp.ClientSession | None = None

    async def complete(self, request: Request) -> Completion:
        """Answer `request`; any number may be awaited at once."""
        if (wait := self.resume - time.monotonic()) > 0:
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))
        session = self.session or self.open()
        try:
            async with session.post(
                self.url, data=body(self.llm, request), allow_redirects=False
            ) as response:
                payload = await response.read()
        except asyncio.TimeoutError:
            raise EngineError(
                f"no reply from {self.url} within {self.timeout:g} s (llm.engine.timeout)"
            ) from None
        except self.http.ClientError as error:
            raise self.broken(error) from None
        self.answered = True
        if response.status != 200:
            raise await self.refused(response.status, response.headers, payload)
        return completion(payload)

    async def close(self) -> None:
        """Close the connections. A server that was started stays for the next job of this process."""
        session, self.session = self.session, None
        if session is not None:
            await session.close()

    def open(self) -> aiohttp.ClientSession:
        """Connections for one event loop; made by the first request."""
        headers = {"Content-Type": "application/json", **self.headers}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        self.session = self.http.ClientSession(
            # Uvicorn, below vLLM and others, closes a connection after 5 idle seconds.
            connector=self.http.TCPConnector(limit=self.llm.concurrency, keepalive_timeout=4.0),
            timeout=self.http.ClientTimeout(total=self.timeout, sock_connect=30.0),
            headers=headers,
            cookie_jar=self.http.DummyCookieJar(),
            proxy=proxy(self.base_url),
        )
        return self.session

    def broken(self, error: aiohttp.ClientError) -> Exception:
        """What it means that the connection failed."""
        if self.serving is not None and not self.serving.alive():
            return UserError(
                f"The server that was started for this job stopped. {self.serving.tail()}"
            )
        if not isinstance(error, self.http.ClientConnectorError):
            return EngineError(f"{self.url}: the connection broke ({type(error).__name__})")
        reason = f"{self.base_url} cannot be reached ({os.strerror(error.errno) if error.errno and error.errno > 0 else error.os_error})"
        if self.answered:
            return EngineError(reason, DOWN_PAUSE)
        start = f"start one with `vllm serve {self.llm.model}`, or have it started: llm.serve=true"
        return EngineError(
            f"{reason}. Is llm.base_url right, and does the server run? If not, {start}"
        )

    async def refused(self, status: int, headers: Mapping[str, str], payload: bytes) -> Exception:
        """What a status other than 200 means: EngineError where the same request may succeed later, else UserError."""
        said = hidden(message(payload), self.key)
        if "insufficient_quota" not in said and (status in AGAIN or status >= 500):
            wait = retry_after(headers)
            if status == 429:
                # The others in flight wait too: each request that is refused may count against the limit.
                wait = wait or RATE_PAUSE
                self.resume = max(self.resume, time.monotonic() + wait)
            return EngineError(f"{self.url} answered {status}: {said}", wait)
        advice = await self.advice(status, headers, said)
        return UserError(
            f"{self.url} answered {status}. {advice}\nReplies so far are kept; mend it and type the same command."
        )

    async def advice(self, status: int, headers: Mapping[str, str], said: str) -> str:
        """What the user can do about a refusal."""
        named = self.llm.api_key_env
        if status == 401 and named:
            return f"It does not accept the key in the environment variable {named}: export {named}=... with a valid one."
        if status == 401:
            return "It wants an API key. Put it into an environment variable and name that: export MY_KEY=... and llm.api_key_env=MY_KEY"
        if status in (402, 403, 429):
            return f"It says: {said}. Check what the account{f' of the key in {named}' if named else ''} may use and spend."
        if 300 <= status < 400:
            return f"It points to {headers.get('Location', 'another address')}: set llm.base_url to the address behind it."
        if status == 404 or (status == 400 and "model" in said.lower()):
            names = await self.models()
            if names:
                return f"It says: {said}. llm.model={self.llm.model}{did_you_mean(self.llm.model, names)}; it has: {', '.join(names[:30])}"
            return f"It says: {said}. Is llm.base_url right? It usually ends in /v1."
        return f"It says: {said}. Mend llm.sampling; a null there leaves out a field that the server lacks: ++llm.sampling.seed=null"

    async def models(self) -> list[str]:
        """The names of the server's models, or none where it does not tell."""
        session = self.session or self.open()
        try:
            async with session.get(f"{self.base_url}/models", allow_redirects=False) as response:
                return sorted(
                    str(model["id"]) for model in json.loads(await response.read())["data"]
                )
        except (self.http.ClientError, asyncio.TimeoutError, ValueError, LookupError, TypeError):
            return []


def body(llm: LLM, request: Request) -> bytes:
    """The JSON of one request. Stop strings of the request and of llm.sampling are both sent; nulls are left out."""
    asked: dict[str, Any] = {
        "model": llm.model,
        "seed": request.seed,
        **form(llm, request),
        **llm.sampling,
    }
    if request.messages:
        asked["messages"] = request.messages
    else:
        asked["prompt"] = request.text
    if request.temperature is not None and asked.get("temperature", 1.0) is not None:
        asked["temperature"] = request.temperature
    if request.stop and asked.get("stop", ()) is not None:
        stop = asked.get("stop", ())
        asked["stop"] = [*request.stop, *([stop] if isinstance(stop, str) else stop)]
    return JSON.encode({key: value for key, value in asked.items() if value is not None}).encode()


def form(llm: LLM, request: Request) -> dict[str, Any]:
    """What holds the model to the reply's form. Only vLLM has a field for choices, and others may refuse it."""
    told: dict[str, Any] = {}
    if request.top:
        told = (
            {"logprobs": True, "top_logprobs": request.top}
            if llm.chat
            else {"logprobs": request.top}
        )
    if request.choices and llm.serve:
        return {"structured_outputs": {"choice": request.choices}, **told}
    if request.schema is not None and (llm.chat or llm.serve):
        return {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "reply", "strict": True, "schema": request.schema},
            }
        }
    return told


def api_key(llm: LLM) -> str:
    """The key in the environment variable that llm.api_key_env names; "" where none is named."""
    if llm.api_key_env is None:
        return ""
    key = os.environ.get(llm.api_key_env, "").strip()
    if not key:
        name = llm.api_key_env
        raise UserError(
            f"llm={llm.name} needs an API key in the environment variable {name}, which is not set: export {name}=..."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(
            f"The key in the environment variable {llm.api_key_env} has characters that no key has; set it again."
        )
    return key


def address(llm: LLM, options: Mapping[str, Any]) -> str:
    """llm.base_url, checked; `options` are those of llm.engine that the client does not know."""
    if options:
        first = min(options)
        raise UserError(
            f"llm.engine.{first} is not an option of llm={llm.name}{did_you_mean(first, OPTIONS)}; "
            f"allowed: {', '.join(OPTIONS)}; with llm.serve=true also every flag of `vllm serve`"
        )
    parts = urlsplit(llm.base_url or "")
    if "@" in parts.netloc:
        raise UserError(
            "llm.base_url has a password in it, which would be written down with the config. Use llm.api_key_env=NAME."
        )
    if parts.scheme not in ("http", "https") or not parts.netloc:
        example = "llm.base_url=http://127.0.0.1:8000/v1"
        raise UserError(
            f"llm.base_url={llm.base_url}: give the server's address, e.g. {example}, or llm.serve=true"
        )
    return (llm.base_url or "").rstrip("/")


def proxy(base_url: str) -> str | None:
    """The proxy for this address by HTTPS_PROXY, HTTP_PROXY and NO_PROXY; looked up once, and none for this machine."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def import_aiohttp(llm: LLM) -> Any:
    """The HTTP library."""
    try:
        import aiohttp
    except ImportError as error:
        raise UserError(
            f'llm={llm.name} needs aiohttp, which is not installed: pip install -e ".[openai]"'
        ) from error
    return aiohttp
