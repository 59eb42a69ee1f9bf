"""Send requests to an LLM: the engines, the dispatcher with its retries, and task questions.

Other rooms use `load`, `Request`, `Completion`, `Engine`, `EngineError`, `Message` and `Schema`
from here, and the modules `dispatch`, `retry`, `finish`, `question` and `fake`.
"""

from __future__ import annotations

from japagen.llm.engine import Completion, Engine, EngineError, Message, Request, Schema, load

__all__ = ["Completion", "Engine", "EngineError", "Message", "Request", "Schema", "load"]
