"""Printing: text from outside is never markup, and control characters are escaped."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# C0 and C1 controls except tab and line feed, and characters that reorder or hide text.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


def plain_console(**options: Any) -> Console:
    """A console that prints texts as they are: no markup, no emoji codes, no highlighting."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **options)


def shown(text: str) -> str:
    """`text` with control and invisible characters written as escapes, e.g. \\x1b."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def printable() -> None:
    """Print what the console's encoding lacks as escapes; a finished job must not fail for it."""
    # A shell closes them with >&- and 2>&-.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and stream.errors in ("strict", "surrogateescape"):
            reconfigure(errors="backslashreplace")
