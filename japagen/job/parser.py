"""Options of the commands without Hydra: messages show neither secrets nor control characters."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from japagen.config.pattern import SECRET
from japagen.config.secret import hidden, remember, remember_all
from japagen.job.console import printable, shown


class Parser(argparse.ArgumentParser):
    """A parser whose errors may be printed: they repeat what was typed."""

    def error(self, message: str) -> NoReturn:
        """Print usage and `message`, and end with exit code 2."""
        super().error(shown(hidden(message)))


def parsed(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options in `arguments`, or in sys.argv; hides secrets of the environment from here on.

    A secret typed after a flag such as --api-key is refused as every unknown flag, and hidden.
    """
    printable()
    words = list(sys.argv[1:] if arguments is None else arguments)
    remember_all({"addresses": words})
    for word, following in zip(words, [*words, ""][1:], strict=True):
        flag, sign, value = word.partition("=")
        if flag.startswith("-") and re.search(SECRET, flag):
            remember(value if sign else following)
    return parser.parse_args(words)


def complain(program: str, error: object) -> None:
    """Print an error of `program` in one message."""
    print(shown(hidden(f"{program}: {error}")), file=sys.stderr)
