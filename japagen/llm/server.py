"""Engine for an OpenAI-compatible server over HTTP: hosted, a cluster's, or started for the job."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from japagen.config.error import UserError
from japagen.config.schema import LLM
from japagen.config.secret import hidden, hidden_keys
from japagen.llm import connection, http_body, http_error
from japagen.llm.chat import SystemRole
from japagen.llm.engine import Completion, EngineError, Request
from japagen.llm.finish import REFUSED
from japagen.llm.http_error import DOWN_PAUSE, LONGEST, ServerMessage
from japagen.llm.reply import completion
from japagen.llm.retry import PATIENCE

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

SHOWN = 400  # characters of a server's message that are shown
ALL_REFUSED = 100  # refusals before the first reply: not single prompts but all are refused


class Server:
    """Sends `llm.concurrency` requests at a time to `llm.base_url`, or with `llm.serve` to its own
    `vllm serve`.

    `llm.sampling` goes into each request unchanged; null omits a field, also `seed` and `stop`.
    `llm.engine`: see connection.Options; with `llm.serve` the rest are flags of `vllm serve`.
    No message of this class shows the API key, whatever the server answers.
    """

    def __init__(self, llm: LLM) -> None:
        self.llm, self.http = llm, connection.import_aiohttp(llm)
        self.options, rest = connection.Options.split(llm.engine)
        self.trusted = connection.certificates(self.options)
        self.serving = None
        if llm.serve:
            from japagen.llm.vllm_serve import serving

            self.serving = serving(llm.model, rest)
            self.address, self.key = connection.Address(f"{self.serving.root}/v1"), self.serving.key
        else:
            self.address, self.key = connection.address(llm, rest), connection.api_key(llm)
        path = "/chat/completions" if llm.chat else "/completions"
        self.url, self.shown_url = self.address.url(path), hidden(self.address.base + path)
        self.system_role = SystemRole(llm.system_role)
        self.answered = False  # the server was reached before
        self.replied = self.estimated = False
        self.refusals = 0
        self.resume = 0.0  # on the monotonic clock: until then the server wants no request
        self.session: aiohttp.ClientSession | None = None

    async def complete(self, request: Request) -> Completion:
        """Answer `request`; any number may be awaited at once."""
        try:
            return await self.ask(self.system_role.adapt(request))
        except EngineError as error:
            raise EngineError(self.hide(str(error)), error.retry_after) from None
        except UserError as error:
            raise UserError(self.hide(str(error))) from None

    async def ask(self, request: Request) -> Completion:
        """Send `request` and read what comes back."""
        status, headers, payload = await self.post(http_body.body(self.llm, request))
        if status != 200:
            return await self.failed(request, status, headers, payload)
        try:
            reply = completion(payload, request)
        except EngineError as error:
            raise EngineError(self.shown(str(error))) from None
        if reply.finish == REFUSED:
            return self.refused(reply, "")
        self.replied = True
        if reply.estimated and not self.estimated:
            self.estimated = True
            log.warning(
                "%s sends no token counts (usage): each character is counted as one token, for the "
                "cost and llm.max_cost, too",
                self.shown_url,
            )
        # These are stored. By value alone: a text may well be about passwords.
        return dataclasses.replace(
            reply,
            text=hidden_keys(reply.text),
            finish=hidden_keys(reply.finish),
            top={hidden_keys(token): value for token, value in reply.top.items()},
        )

    async def post(self, data: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer, after the time for which the server asked."""
        if (wait := self.resume - time.monotonic()) > 0:
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))
        session = self.session or self.open()
        try:
            # A redirect would carry the key to another host.
            async with session.post(self.url, data=data, allow_redirects=False) as response:
                payload = await http_body.read(response)
        except asyncio.TimeoutError:
            limit = f"{self.options.timeout:g} s (llm.engine.timeout)"
            raise EngineError(f"no reply from {self.shown_url} within {limit}") from None
        except self.http.ClientError as error:
            raise self.broken(error) from None
        self.answered = True
        return response.status, response.headers, payload

    async def close(self) -> None:
        """Close the connections. A server that was started stays for the process's next job."""
        session, self.session = self.session, None
        if session is not None:
            await session.close()

    def open(self) -> aiohttp.ClientSession:
        """Connections for the running event loop; made by the first request."""
        self.session = connection.open_session(
            self.options, self.address.base, self.key, self.llm.concurrency, self.trusted
        )
        return self.session

    async def failed(
        self, request: Request, status: int, headers: Mapping[str, str], payload: bytes
    ) -> Completion:
        """Handle a status other than 200: a refused reply, EngineError, UserError, or try again."""
        message = ServerMessage.read(payload)
        said = self.shown(message.text)
        if status in (400, 403, 422, 451) and http_error.is_refusal(message, request):
            return self.refused(Completion("", REFUSED, 0, 0), said)
        if status in (400, 422, 500) and self.system_role.missing(request, message.text):
            return await self.ask(self.system_role.adapt(request))
        if http_error.is_temporary(status, message):
            wait = http_error.wait(status, headers, message)
            if status == 429 and wait:
                # Other requests wait too: each refused one may count against the limit.
                until = time.monotonic() + min(wait, PATIENCE)
                self.resume = max(self.resume, until)
            raise EngineError(f"{self.shown_url} answered {status}: {said}", wait)
        if 300 <= status < 400:
            said = self.shown(headers.get("Location", ""))
        advice = http_error.advice(self.llm, status, said, await self.models(status))
        raise UserError(
            f"{self.shown_url} answered {status}. {advice}\n"
            "All replies so far are kept. Fix the cause and type the same command."
        )

    def refused(self, reply: Completion, said: str) -> Completion:
        """The reply to a request that a content filter refused; the job continues with others."""
        self.refusals += 1
        if self.refusals == ALL_REFUSED and not self.replied:
            raise UserError(
                f"{self.shown_url} refused the first {ALL_REFUSED} requests because of their "
                f"content, and answered none. It says: {said or 'nothing'}. Change the prompt "
                "(task.wording), the model or the server's content filter, and try again."
            )
        if self.refusals == 1:
            log.warning(
                "%s refused a request because of its content; such replies are rejected with the "
                "reason `refused`. It says: %s",
                self.shown_url,
                said or "nothing",
            )
        return reply

    def broken(self, error: aiohttp.ClientError) -> Exception:
        """What it means that the connection failed."""
        refused = isinstance(error, self.http.ClientConnectorError)
        serving = self.serving
        if serving is not None and (serving.stopped() if refused else not serving.alive()):
            return UserError(f"The server that was started for this job stopped. {serving.tail()}")
        if isinstance(error, self.http.ClientSSLError):
            return UserError(connection.untrusted(self.address.base, error))
        if not isinstance(error, self.http.ClientConnectorError):
            return EngineError(f"{self.shown_url}: the connection broke ({type(error).__name__})")
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else str(error.os_error)
        reason = f"{hidden(self.address.base)} cannot be reached ({reason})"
        if self.answered:
            return EngineError(reason, DOWN_PAUSE)
        return EngineError(
            f"{reason}. Is llm.base_url right, and is the server running? If not, start one with "
            f"`vllm serve {self.llm.model}`, or let the job start it: llm.serve=true"
        )

    async def models(self, status: int) -> list[str]:
        """The names of the server's models after a 400 or 404; empty if it does not list them."""
        if status not in (400, 404):
            return []
        session = self.session or self.open()
        url = self.address.url("/models")
        try:
            async with session.get(url, allow_redirects=False) as response:
                data = json.loads(await http_body.read(response))["data"]
                return sorted(self.shown(model["id"], 100) for model in data)
        except (self.http.ClientError, asyncio.TimeoutError, EngineError):
            return []
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return []

    def hide(self, text: str) -> str:
        """`text` without the API key, which some servers repeat, whole or cut."""
        text = hidden(text)
        start = self.key[: max(8, len(self.key) // 3)]
        return connection.without_start(text, start) if len(self.key) > 12 else text

    def shown(self, text: str, limit: int = SHOWN) -> str:
        """What may be shown of a server's text: one line without secrets. Hide before cutting."""
        # The end of the part that is looked at is far behind what is shown.
        return http_error.one_line(self.hide(text[:LONGEST]))[:limit]
