"""Run commands in a terminal and write what they print as an SVG, for the README.

    python benchmarks/terminal.py docs/img/terminal.svg "python generate.py ..."

The commands run one after the other in the working folder. Lines of the log, which also are in a
file of each job, are left out; nothing else is changed.
"""

from __future__ import annotations

import fcntl
import html
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 96, 50
CELL = 12.2  # pixels of a column in rich's SVG
TEXT = re.compile(
    r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="[\d.]+"([^>]*)>([^<]*)</text>'
)
RUNS = re.compile(r"[\u2e80-\uffef]+|[^\u2e80-\uffef]+")
LOG = re.compile(r"(?:\x1b\[[\d;]*m)*\[\d{4}-\d\d-\d\d |\s*\x1b\[[\d;]*m\[?\d\d:\d\d:\d\d")


def printed(command: str) -> str:
    """What a shell prints while it runs `command` in a terminal."""
    child, terminal = pty.fork()
    if not child:
        os.execvp("bash", ["bash", "-c", command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # Linux ends a terminal without processes so
        pass
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise SystemExit(f"exit code {code}: {command}\n{b''.join(parts).decode()}")
    return b"".join(parts).decode()


def lines(output: str) -> list[Text]:
    """The lines of a terminal at the end: a progress bar as it was last, without the log."""
    last = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in output.split("\n")]
    shown = [Text.from_ansi(line) for line in last if not LOG.match(line)]
    return [line for line in shown if line.plain.strip()]


def placed(found: re.Match[str]) -> str:
    """A text element, or one for each run of wide and of narrow characters, at its own column."""
    style, x, y, rest, content = found.groups()
    column, parts = float(x), []
    for run in RUNS.findall(html.unescape(content)):
        width = CELL * cell_len(run)
        parts.append(
            f'<text class="{style}" x="{column:g}" y="{y}" textLength="{width:g}"{rest}>'
            f"{html.escape(run).replace(' ', '&#160;')}</text>"
        )
        column += width
    return "".join(parts)


def main() -> None:
    """Write the SVG."""
    path, *commands = sys.argv[1:]
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w"))  # noqa: SIM115
    for command in commands:
        console.print(Text(f"$ {command}", style="bold"))
        for line in lines(printed(command)):
            console.print(line, overflow="fold")
    svg = console.export_svg(title="JapaGen")
    # No font from a server: the reader's own monospace.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = TEXT.sub(placed, svg.replace("Fira Code", "monospace"))
    Path(path).write_text(svg + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
