"""Around Hydra's main: our --help, and problems of the arguments before anything is written."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator, Sequence

from japagen import stop
from japagen.config.schema import Config
from japagen.job.argument import argument_problems
from japagen.job.chosen import chosen_problems
from japagen.job.console import printable, shown
from japagen.job.help import help_lines

# Flags of Hydra that print something; with these no job starts.
COMPLETION = ("-sc", "--shell-completion", "--shell_completion")


@contextlib.contextmanager
def command(schema: type[Config], about: str, program: str) -> Iterator[None]:
    """Print --help, or refuse wrong arguments in plain words; otherwise run the body.

    `about`: one sentence about the command. `program`: how the user types it.
    """
    printable()
    arguments = sys.argv[1:]
    if {"--help", "-h"} & set(arguments):
        print("\n".join(help_lines(schema, about, program, arguments)))
        raise SystemExit(0)
    from japagen.job.outside import checked  # imports more of Hydra than --help needs

    with contextlib.ExitStack() as around:
        if completes(arguments):
            # A shell shows errors in the middle of the line that the user types.
            around.enter_context(contextlib.redirect_stderr(io.StringIO()))
        else:
            stop_for(problems(arguments, schema))
        around.enter_context(stop.one_line())
        around.enter_context(checked(arguments, stop_for))
        yield


def completes(arguments: Iterable[str]) -> bool:
    """Whether a shell asks for the words that may follow, or for the script that does so."""
    return any(argument.startswith(COMPLETION) for argument in arguments)


def problems(arguments: Sequence[str], schema: type[Config]) -> Iterator[str]:
    """What is wrong with the arguments, else with the YAMLs that they choose."""
    found = list(argument_problems(arguments, schema))
    yield from found or chosen_problems(arguments)


def stop_for(lines: Iterable[str]) -> None:
    """Print the problems and end with exit code 1, if there are any."""
    if found := list(lines):
        print("\n".join(shown(line) for line in found), file=sys.stderr)
        raise SystemExit(1)
