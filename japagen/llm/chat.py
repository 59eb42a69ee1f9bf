"""Chat messages for models whose template has no system role."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

from japagen.llm.engine import Message, Request

log = logging.getLogger(__name__)

# "System role not supported", "Conversation roles must alternate user/assistant/...", and others.
NO_SYSTEM = re.compile(
    r"(?:system|developer)['\"`]? (?:role|message|prompt|turn|instruction)"
    r"|expect\w* .{0,30}\buser\b.{0,30}\bgot\W+system\b"
    r"|roles?\W+['\"`]?system\b|roles? .{0,30}alternat|only (?:user|assistant).{0,30}\broles?\b",
    re.IGNORECASE | re.DOTALL,
)


class SystemRole:
    """Whether the model has a system role: set by llm.system_role, and learned from errors."""

    def __init__(self, supported: bool) -> None:
        self.supported = supported

    def adapt(self, request: Request) -> Request:
        """`request` as the model can read it."""
        if self.supported or not has_system(request):
            return request
        return replace(request, messages=merged(request.messages))

    def missing(self, sent: Request, error: str) -> bool:
        """Whether `error` refuses the system message of `sent`; then `adapt` merges from now on."""
        if not has_system(sent) or not NO_SYSTEM.search(error):
            return False
        if self.supported:
            log.warning(
                "the model's chat template has no system role, so the system text is put before the"
                " first user message. To do so from the first request: llm.system_role=false"
            )
        self.supported = False
        return True


def has_system(request: Request) -> bool:
    """Whether a message of the system comes first."""
    return bool(request.messages) and request.messages[0]["role"] == "system"


def merged(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """`messages` with the system text at the beginning of the first user message."""
    system, *rest = messages
    if rest and rest[0]["role"] == "user":
        text = f"{system['content']}\n\n{rest[0]['content']}"
        return ({"role": "user", "content": text}, *rest[1:])
    return ({**system, "role": "user"}, *rest)
