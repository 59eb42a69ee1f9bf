"""HTTP bodies: the JSON of a request, and a reply read up to a size limit."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from japagen.config.schema import LLM
from japagen.llm.engine import EngineError, Request, limit

if TYPE_CHECKING:
    import aiohttp

JSON = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make one for each request
# Bytes of a reply after decompression; a long one with log-probabilities has 1 MiB.
LARGEST = 8 * 2**20


def body(llm: LLM, request: Request) -> bytes:
    """The JSON of one request, with the stop strings of the request and of llm.sampling.

    Fields that llm.sampling sets to null are omitted.
    """
    fields: dict[str, Any] = {
        "model": llm.model,
        "seed": request.seed,
        **form(llm, request),
        **limit(request, llm.sampling),
        **llm.sampling,
    }
    if request.messages:
        fields["messages"] = request.messages
    else:
        fields["prompt"] = request.text
    if request.temperature is not None and fields.get("temperature", 1.0) is not None:
        fields["temperature"] = request.temperature
    if request.stop and fields.get("stop", ()) is not None:
        stop = fields.get("stop", ())
        fields["stop"] = [*request.stop, *([stop] if isinstance(stop, str) else stop)]
    return JSON.encode({key: value for key, value in fields.items() if value is not None}).encode()


def form(llm: LLM, request: Request) -> dict[str, Any]:
    """The fields that restrict the reply's form.

    Choices are sent to vLLM alone: other servers have no field for them and may refuse it.
    """
    fields: dict[str, Any] = {}
    if request.top and llm.chat:
        fields = {"logprobs": True, "top_logprobs": request.top}
    elif request.top:
        fields = {"logprobs": request.top}
    if request.choices and llm.serve:
        return {"structured_outputs": {"choice": request.choices}, **fields}
    if request.schema is not None and (llm.chat or llm.serve):
        schema = {"name": "reply", "strict": True, "schema": request.schema}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return fields


async def read(response: aiohttp.ClientResponse) -> bytes:
    """The body of `response`, decompressed; EngineError if it has more than LARGEST bytes."""
    chunks, size = [], response.content_length or 0
    if size <= LARGEST:
        size = 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST:
                break
    if size > LARGEST:
        response.close()
        raise EngineError(f"the reply is larger than {LARGEST // 2**20} MiB")
    coding = response.headers.get("Content-Encoding", "identity").lower()
    payload = b"".join(chunks)
    return payload if coding == "identity" else decompressed(payload, coding)


def decompressed(payload: bytes, coding: str) -> bytes:
    """`payload` without its compression; no more than LARGEST bytes are ever made of it."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise EngineError("the reply is compressed in a way that was not asked for")
    inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)  # gzip or zlib, by the header
    try:
        text = inflate.decompress(payload, LARGEST + 1)
    except zlib.error:
        raise EngineError("the reply cannot be decompressed") from None
    if len(text) > LARGEST:
        raise EngineError(f"the reply is larger than {LARGEST // 2**20} MiB")
    return text
